"""The step of the pipeline: the newest day of a home is checked, and the decision is in the run's record."""

from datetime import UTC, datetime, timedelta

import pytest

from events import dataset
from events.importers.synthetic import generate, sized
from events.journal.journal import open_journal
from monitoring.rules import Rules
from monitoring.state_file import read
from segue.clock import utc_now
from segue.files import read_json, write_json
from stores.settings import settings
from workloads.monitoring import monitor, tell
from workloads.outcome import outcome, verdict
from workloads.run import Run


@pytest.mark.parametrize("failing", [False, True])
def test_a_site_without_events_is_an_outage_in_the_record_of_the_run(home, monkeypatch, capsys, failing):
    dataset.write(home.data, generate(sized("nano", None, None), 0))
    open_journal(home, settings()).close()
    monkeypatch.setattr(tell, "log_decisions", lambda home, decisions: (0, "down") if failing else (1, ""))
    assert monitor.step(Run(home, "monitoring-20261129T000000", {})) is False
    record = read_json(home.run("monitoring-20261129T000000").steps / "monitor.json")
    assert record["result"]["decision"]["action"] == "hold"
    assert record["result"]["report"]["cause"] == "outage"
    assert verdict(record).startswith("hold: No training while this lasts: ")
    assert record["result"].get("not_tracked") == ("down" if failing else None)
    assert "alert: hold." in capsys.readouterr().out
    assert len(read(home.retraining).history) == 1


def test_an_imported_log_is_checked_at_its_end_and_may_be_replayed(home, monkeypatch):
    dataset.write(home.data, generate(sized("nano", None, None), 0))
    monkeypatch.setattr(tell, "log_decisions", lambda home, decisions: (1, ""))
    replayed, _, _ = monitor.monitor(home, Rules(), datetime(2026, 1, 31, 2, tzinfo=UTC), outcome, print)
    assert replayed.current[1] == datetime(2026, 1, 31, tzinfo=UTC)
    report, decision, _ = monitor.monitor(home, Rules(), utc_now(), outcome, print)
    last = datetime.fromisoformat(read_json(home.data / "manifest.json")["span"]["last"])
    assert last < report.current[1] <= last + timedelta(hours=1)
    assert decision.action == "wait"


def test_a_log_that_a_journal_goes_on_with_is_checked_now_at_the_latest(home, monkeypatch):
    dataset.write(home.data, generate(sized("nano", None, None), 0))
    open_journal(home, settings()).close()
    monkeypatch.setattr(tell, "log_decisions", lambda home, decisions: (1, ""))
    report, _, _ = monitor.monitor(home, Rules(), utc_now() + timedelta(days=400), outcome, print)
    assert report.current[1] < utc_now()


def test_a_roll_out_is_named_until_it_ends(home):
    assert monitor.roll_out(home) == ""
    for phase, said in (
        ("running", "Roll-out 2 is running; a new version would wait for its end."),
        ("taken back", ""),
    ):
        write_json(home.models / "rollout.json", {"split": {"number": 2, "phase": phase, "share": 0.0}})
        assert monitor.roll_out(home) == said
