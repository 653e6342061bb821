"""The report of a window goes to JSON and back."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from monitoring.report import Check, Report
from segue.verdict import Verdict

END = datetime(2026, 3, 8, tzinfo=UTC)
WEEK = timedelta(days=7)
CHECKS = (
    Check("skip_rate", "cause", "retrain", Verdict(False, "Skips rose.", {"rate": 0.4}), 0.4, 0.3),
    Check("late_events", "guardrail", "alert", Verdict(True, "As usual.")),
)
REPORT = Report((END - 2 * WEEK, END - WEEK), (END - WEEK, END), CHECKS, "behaviour", "Skips rose.")


def test_a_saved_report_is_read_as_it_was():
    assert Report.from_dict(json.loads(json.dumps(REPORT.to_dict()))) == REPORT


def test_the_failed_checks_are_those_whose_verdict_did_not_pass():
    assert [check.name for check in REPORT.failed] == ["skip_rate"]


@pytest.mark.parametrize("key", ["checks", "cause", "current"])
def test_a_report_that_lacks_a_key_is_refused(key):
    saved = REPORT.to_dict()
    del saved[key]
    with pytest.raises(KeyError, match=key):
        Report.from_dict(saved)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="gossip"):
        Check("skip_rate", "gossip", "alert", Verdict(True, "As usual."))
