"""The verdict of a look: ship, stop, keep going, or invalid, with the reason in one sentence."""

from dataclasses import dataclass

from experiments.definition import Definition
from experiments.scorecard import QUALITY_ALPHA, Row, Scorecard

SHIP, STOP, KEEP_GOING, INVALID = "ship", "stop", "keep going", "invalid"
MOST_BROKEN = 0.01  # share of units that were logged in several arms, or in another arm than their bucket's
CHECKS = {
    "sample_ratio": "the arms have other numbers of listeners than their shares say",
    "exposure_loss": "the arms lose different shares of their exposures",
    "pre_period": "the arms differed before the experiment began",
}


@dataclass(frozen=True)
class Advice:
    """What a look says to do.

    Args:
        verdict: `ship`, `stop`, `keep going` or `invalid`.
        reason: Why, in one sentence.
        arm: The arm to ship; None otherwise.
    """

    verdict: str
    reason: str
    arm: str | None = None


def advise(definition: Definition, card: Scorecard) -> Advice:
    """Return the verdict of a scorecard.

    An arm ships if at least one success metric improved and all guardrails are non-inferior. It stops early for harm
    alone: a metric that got worse, or a guardrail beyond its margin. At the planned end a guardrail that never happened
    does not block, and what does not ship stops.
    """
    if broken := broken_by(card):
        return Advice(INVALID, f"The comparison cannot be trusted: {broken}.")
    if missing := [name for name in definition.metrics.roles() if name in card.unmeasured]:
        return Advice(
            INVALID, f"{missing[0]} is part of the decision and cannot be measured: {card.unmeasured[missing[0]]}."
        )
    arms = [arm.name for arm in definition.arms[1:]]
    each = {
        arm: advise_arm([row for row in card.rows if row.arm == arm and row.role != "quality"], card) for arm in arms
    }
    if ships := [arm for arm in arms if each[arm].verdict == SHIP]:
        best = max(ships, key=lambda arm: max(abs(row.z) for row in card.rows if row.arm == arm and row.improved))
        return each[best]
    if all(advice.verdict == STOP for advice in each.values()) or len(arms) == 1:
        return each[arms[0]]
    return next(advice for advice in each.values() if advice.verdict == KEEP_GOING)


def broken_by(card: Scorecard) -> str | None:
    """Return why a scorecard cannot be trusted, or None."""
    for name, p in card.checks.items():
        if p < QUALITY_ALPHA:
            counts = ", ".join(f"{arm} {count:,}" for arm, count in card.units.items())
            return f"{CHECKS[name]} (p = {p:.1g}; listeners: {counts})"
    units = sum(card.units.values())
    if card.mixed > MOST_BROKEN * (units + card.mixed):
        return f"{card.mixed:,} listeners were logged in more than one arm"
    if card.misassigned > MOST_BROKEN * units:
        return f"{card.misassigned:,} of {units:,} listeners were logged in another arm than their bucket's"
    return None


def advise_arm(rows: list[Row], card: Scorecard) -> Advice:
    """Return the verdict of one arm, whose data can be trusted."""
    arm = rows[0].arm
    if harmed := [row for row in rows if row.worse and not (row.role == "guardrail" and row.non_inferior)]:
        row = harmed[0]
        return Advice(STOP, f"{row.metric} got worse in {arm}: {figures(row)}.")
    improved = [row for row in rows if row.role == "success" and row.improved]
    guardrails = [row for row in rows if row.role == "guardrail"]
    ended = card.information >= 1
    absent = [row for row in guardrails if ended and not row.non_inferior and without_case(row)]
    open_ = [row for row in guardrails if not row.non_inferior and row not in absent]
    if improved and not open_:
        kept = f" and {len(guardrails)} of {len(guardrails)} guardrails hold" if guardrails else ""
        never = "".join(f"; {never_happened(row, card)}" for row in absent)
        return Advice(SHIP, f"{improved[0].metric} improved in {arm}: {figures(improved[0])}{kept}{never}.", arm)
    if ended and improved:
        return Advice(
            STOP,
            f"The planned end is reached, and {open_[0].metric} was not shown to stay within its margin of "
            f"{open_[0].margin:.1%} in {arm}: {figures(open_[0])}.",
        )
    if ended:
        return Advice(STOP, f"The planned end is reached, and no success metric improved in {arm}.")
    if improved:
        return Advice(
            KEEP_GOING,
            f"{improved[0].metric} improved in {arm}, and {open_[0].metric} is not yet shown to stay within its "
            "margin.",
        )
    return Advice(
        KEEP_GOING,
        f"No success metric has improved yet in {arm} at {card.information:.0%} of the planned information, and no "
        "metric got worse.",
    )


def without_case(row: Row) -> bool:
    """Whether a metric never happened where harm would show: in the treatment, or in the control if high is good.

    A margin relative to nothing cannot be shown, and no data could speak more for the arm.
    """
    return (row.control if row.higher_is_better else row.treatment) == 0


def never_happened(row: Row, card: Scorecard) -> str:
    """Say how much harm a metric that never happened leaves possible.

    Of n units without a single case, fewer than 3 in n have one with 95 % certainty (the rule of three: Hanley and
    Lippman-Hand 1983, "If Nothing Goes Wrong, Is Everything All Right?"). It is asked once, at the planned end.
    """
    arm = next(iter(card.units)) if row.higher_is_better else row.arm
    units = f"{card.units[arm]:,} listeners"
    return f"{row.metric} never happened in {arm}, so fewer than 3 in {units} meet it (95 % certainty)"


def figures(row: Row) -> str:
    """Say the effect of a row with its interval."""
    if row.lift is None or row.lift_low is None or row.lift_high is None:
        return f"difference {row.difference:+.4g}"
    return f"{row.lift:+.1%} ({row.lift_low:+.1%} to {row.lift_high:+.1%})"
