"""The verdict of each check: its largest change beside its limit, in a sentence."""

from collections.abc import Sequence

import numpy as np

from monitoring.checks.limits import Changes, changes
from monitoring.checks.rules import OUTAGE, RARE, RULES, Direction, Rule
from monitoring.checks.sums import Sums
from monitoring.report import Check
from segue.verdict import Verdict


def verdicts(sums: Sums) -> list[Check]:
    """Return the checks of the last day, in the order of `RULES`.

    Days of the reference on which a check of `outage` failed are no part of any base: their events are not whole.

    Args:
        sums: Sums of the days of the windows.
    """
    unsound = outages(changes(sums, RARE))
    compared = changes(sums.without(unsound) if unsound.any() else sums, RARE)
    present = dict.fromkeys(check for check, _ in compared.names)
    return [check_of(name, RULES[name], compared) for name in RULES if name in present]


def outages(compared: Changes) -> np.ndarray:
    """Return on which days of the reference a check of `outage` failed; False on the last day `[days]`."""
    alerting = [number for number, (check, _) in enumerate(compared.names) if RULES[check].cause == OUTAGE]
    failed = np.zeros(len(compared.now), bool)
    for number in alerting:
        if compared.enough[number]:
            direction = RULES[compared.names[number][0]].direction
            failed |= excess(compared, number, direction) > 1
    failed[-1] = False
    return failed


def excess(compared: Changes, number: int, direction: Direction) -> np.ndarray:
    """Return the change of a measure in a direction over its limit, 0 where there are no data `[days]`."""
    effect = compared.now[:, number] - compared.before[:, number]
    sized = {"up": effect, "down": -effect, "both": np.abs(effect)}[direction]
    return np.nan_to_num(sized / compared.limit[:, number], posinf=0)


def check_of(name: str, rule: Rule, compared: Changes) -> Check:
    """Return the check of a name: the measure whose change is the largest part of its limit decides."""
    numbers = [n for n, (check, _) in enumerate(compared.names) if check == name and compared.enough[n]]
    numbers = [n for n in numbers if np.isfinite(compared.now[-1, n] - compared.before[-1, n])]
    numbers = [n for n in numbers if compared.limit[-1, n] < largest_change(rule, float(compared.before[-1, n]))]
    if not numbers:
        return Check(name, rule.kind, rule.response, Verdict(True, "There are too few events to judge."))
    parts = {number: float(excess(compared, number, rule.direction)[-1]) for number in numbers}
    worst = max(parts, key=lambda number: parts[number])
    before, now, limit = (float(each[-1, worst]) for each in (compared.before, compared.now, compared.limit))
    failed = [compared.names[number][1] for number in numbers if parts[number] > 1]
    level = compared.names[worst][1]
    return Check(
        name,
        rule.kind,
        rule.response,
        Verdict(
            passed=not failed,
            reason=sentence(rule, level, before, now, limit),
            figures={"before": before, "now": now, "level": level, "failed_levels": failed},
            limits={"change": limit},
        ),
        effect=now - before,
        limit=limit,
    )


def largest_change(rule: Rule, before: float) -> float:
    """Return the largest change that there can be, from a number or a share in the base; a higher limit is no limit."""
    up = np.inf if rule.count else 1 - before
    return {"up": up, "down": before, "both": max(up, before)}[rule.direction]


def sentence(rule: Rule, level: str, before: float, now: float, limit: float) -> str:
    """Return the change and its limit in a sentence."""
    subject = rule.measure.format(level=level)
    verb = "rose" if now > before else "fell" if now < before else "stayed"
    begin = f"{subject[0].upper()}{subject[1:]} {verb}"
    if rule.count:
        return f"{begin} from {before:,.0f} to {now:,.0f}; the limit is {limit:,.0f}."
    return f"{begin} from {before:.1%} to {now:.1%}; the limit is {100 * limit:.1f} points."


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
