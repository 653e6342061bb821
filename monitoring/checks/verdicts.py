"""The verdict of each check: its largest change beside its limit, in a sentence."""

from collections.abc import Sequence

import numpy as np

from monitoring.checks.limits import SPANS, Changes, changes
from monitoring.checks.rules import OUTAGE, RARE, RULES, SIGNED, Direction, Rule
from monitoring.checks.sums import Sums
from monitoring.report import Check
from segue.verdict import Verdict

LASTING = 0.5  # of the change of a longer span, which its last day shows as well


def verdicts(sums: Sums) -> list[Check]:
    """Return the checks of the last day, in the order of `RULES`.

    Days of the reference on which a check of `outage` failed are no part of any base: their events are not whole.

    Args:
        sums: Sums of the days of the windows.
    """
    compared = changes(sums, RARE, SIGNED)
    unsound = outages(compared)
    if unsound.any():
        compared = changes(sums.without(unsound), RARE, SIGNED)
    present = dict.fromkeys(check for check, _ in compared.names)
    return [check_of(name, RULES[name], compared) for name in RULES if name in present]


def outages(compared: Changes) -> np.ndarray:
    """Return on which days of the reference a check of `outage` failed; False on the last day `[days]`."""
    alerting = [number for number, (check, _) in enumerate(compared.names) if RULES[check].cause == OUTAGE]
    failed = np.zeros(compared.now.shape[1], bool)
    for number in alerting:
        if compared.enough[number]:
            direction = RULES[compared.names[number][0]].direction
            failed |= excess(compared, 0, number, direction) > 1
    failed[-1] = False
    return failed


def excess(compared: Changes, span: int, number: int, direction: Direction) -> np.ndarray:
    """Return the change of a measure in a direction over its limit, 0 where there are no data `[days]`."""
    now, before = (each[span, :, number] for each in (compared.now, compared.before))
    effect = now - before
    away = np.where(np.abs(now) > np.abs(before), np.abs(effect), 0)
    sized = {"up": effect, "down": -effect, "both": np.abs(effect), "away": away}[direction]
    return np.nan_to_num(sized / compared.limit[span, :, number], posinf=0)


def check_of(name: str, rule: Rule, compared: Changes) -> Check:
    """Return the check of a name: the measure and span whose change is the largest part of its limit decide.

    A longer span counts only while its last day shows half of its change, so that one odd day does not fail a check on
    the days after it, too.
    """
    before, now, limit = (each[:, -1] for each in (compared.before, compared.now, compared.limit))
    effect = now - before
    lasting = effect[0] * np.sign(effect) >= LASTING * np.abs(effect)  # the last day's change, in the span's direction
    parts = {
        (span, number): float(excess(compared, span, number, rule.direction)[-1])
        for number, (check, _) in enumerate(compared.names)
        for span in range(len(SPANS))
        if check == name
        and compared.enough[number]
        and lasting[span, number]  # false where there are no data
        and limit[span, number] < largest_change(rule, float(before[span, number]))
    }
    if not parts:
        return Check(name, rule.kind, rule.response, Verdict(True, "There are too few events to judge."))
    worst = max(parts, key=lambda place: parts[place])
    level, days = compared.names[worst[1]][1], SPANS[worst[0]]
    figures = {"before": float(before[worst]), "now": float(now[worst])}
    allowed = float(limit[worst])
    failed = list(dict.fromkeys(compared.names[number][1] for (_, number), part in parts.items() if part > 1))
    return Check(
        name,
        rule.kind,
        rule.response,
        Verdict(
            passed=not failed,
            reason=sentence(rule, level, days, **figures, limit=allowed),
            figures={**figures, "days": days, "level": level, "failed_levels": failed},
            limits={"change": allowed},
        ),
        effect=figures["now"] - figures["before"],
        limit=allowed,
    )


def largest_change(rule: Rule, before: float) -> float:
    """Return the largest change that there can be, from a number or a share in the base; a higher limit is no limit."""
    up = np.inf if rule.count else 1 - before
    both = max(up, before)
    return {"up": up, "down": before, "both": both, "away": both}[rule.direction]


def sentence(rule: Rule, level: str, days: int, before: float, now: float, limit: float) -> str:
    """Return the change and its limit in a sentence."""
    subject = rule.measure.format(level=level)
    verb = "rose" if now > before else "fell" if now < before else "stayed"
    begin = f"{subject[0].upper()}{subject[1:]} {verb}"
    if rule.count:
        return f"{begin} from {before:,.0f} to {now:,.0f}; the limit is {limit:,.0f}."
    of_days = "" if days == 1 else f" in the last {days} days"
    return f"{begin} from {before:.1%} to {now:.1%}{of_days}; the limit is {100 * limit:.1f} points."


def cause_of(checks: Sequence[Check]) -> tuple[str, str] | None:
    """Return the cause that failed checks point to, and why in a sentence.

    An outage comes first, because what its events say of listeners is wrong; then skew, because models that were given
    wrong features move all else; then the checks of the kind `cause`, because what they find also moves features,
    embeddings and quality. Of several, the check whose change is the largest part of its limit names the cause: a shift
    of tastes also moves the skip rate, and new items also move genres, but less.

    Args:
        checks: The checks of a window.

    Returns:
        `outage`, `catalogue`, `behaviour` or `genre`, or the name of another failed check, such as `skew`, and the
        reason; None if none failed.
    """
    failed = [check for check in checks if not check.verdict.passed]
    if not failed:
        return None
    outage = [check for check in failed if RULES[check.name].cause == OUTAGE]
    alerting = [check for check in failed if check.response == "alert"]
    causes = [check for check in failed if check.kind == "cause"]
    first = outage or alerting or causes or failed
    strongest = max(first, key=lambda check: abs(check.effect or 0) / (check.limit or 1))
    return RULES[strongest.name].cause or strongest.name, strongest.verdict.reason
