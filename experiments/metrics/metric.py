"""A metric: two named Ibis expressions over the rows of a log, summed for each unit of analysis."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Expression = Callable[[Any], Any]  # from a table of rows to a column


@dataclass(frozen=True)
class Metric:
    """A metric of experiments: the mean over units of the numerator's sum, over that of the denominator's.

    Args:
        name: Its name in definitions and scorecards.
        purpose: `success`, `guardrail`, `deterioration` or `quality`: what it is usually for. A definition decides.
        higher_is_better: Its direction.
        numerator: The value of a row; with `distinct` each value counts once for a unit. Null counts nothing.
        denominator: The value of a row; None divides by the number of units.
        table: The log that it reads: `events`, or `requests` with a row for each request to the gateway.
        needs: The columns that its log must have.
        distinct: Whether the numerator counts distinct values.
        window_days: Days from a unit's first exposure that count; None counts all.
        description: What it says, in one sentence.
    """

    name: str
    purpose: Literal["success", "guardrail", "deterioration", "quality"]
    higher_is_better: bool
    numerator: Expression
    denominator: Expression | None
    description: str
    table: Literal["events", "requests"] = "events"
    needs: tuple[str, ...] = ()
    distinct: bool = False
    window_days: int | None = None
