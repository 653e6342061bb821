"""The retraining decision."""

from monitoring.decision import MIN_ROWS, decide
from segue.verdict import Verdict


def verdict(drifted: bool, current: int = 5_000) -> Verdict:
    """A verdict with the figures that the decision reads."""
    return Verdict(not drifted, "Because.", {"rows": {"reference": 5_000, "current": current}})


def test_drift_means_retraining_for_the_verdicts_reason():
    assert decide(verdict(True)) == {"retrain": True, "reason": "Retrain. Because."}


def test_no_drift_means_no_retraining():
    assert decide(verdict(False)) == {"retrain": False, "reason": "No retraining. Because."}


def test_drift_in_a_small_window_means_no_retraining():
    decision = decide(verdict(True, current=MIN_ROWS - 1))
    assert not decision["retrain"]
    assert "1999 rows" in decision["reason"]


def test_the_minimum_number_of_rows_is_enough():
    assert decide(verdict(True, current=MIN_ROWS))["retrain"]
