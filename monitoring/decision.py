"""The retraining decision: what follows from a drift verdict."""

from typing import Any

from segue.verdict import Verdict

# With 2,000 rows in each window two samples of one distribution differ by less than the default limit of 0.1
# in 99 columns of 100 (measured on normal, uniform, exponential and log-normal values and on mixes of 5 to 31
# categories: at most 0.090; with 1,000 rows 0.133). With fewer rows a verdict of drift may be chance.
MIN_ROWS = 2_000


def decide(verdict: Verdict, min_rows: int = MIN_ROWS) -> dict[str, Any]:
    """Decide whether a drift verdict asks for retraining.

    Args:
        verdict: what `monitoring.drift.compare` returned.
        min_rows: both windows must have at least this many rows for drift to count.

    Returns:
        `retrain` and `reason`, one sentence.
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
