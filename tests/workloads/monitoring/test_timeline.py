"""The loop over time, as the command and the page show it."""

from monitoring.rules import Rules
from pipelines.run_state import state
from tests.support.loops import leave_run, push
from tests.support.reports import day, leave_report, report
from workloads.monitoring.decide import step
from workloads.monitoring.timeline import REPORTS, timeline
from workloads.operating.decisions import decide


def test_an_empty_home_has_an_empty_time_line(home):
    assert timeline(home, state) == {"reports": [], "decision": None, "events": []}


def test_reports_with_effect_and_limit_and_what_happened_beside_them(home):
    leave_run(home, "training-20260220T120000", {"push": {"version": 1}})  # before the first window
    for number in (1, 2):
        leave_report(home, report(number, "skip_rate", cause="behaviour"))
        step(home, Rules(), day(number), state)
    leave_run(home, "training-20260303T000000", {"evaluate": {"passed": False, "reason": "AUC is low"}})
    decide(home, "promote", lambda: ("stable", {"ranking": 2}), "better", "ann", day(2.5))
    push(home, ("ranking",))
    line = timeline(home, state)
    skips = line["reports"][1]["checks"][0]
    assert (skips["name"], skips["effect"], skips["limit"], skips["passed"]) == ("skip_rate", 0.12, 0.06, False)
    assert [(each["kind"], each["what"]) for each in line["events"]] == [
        ("decision", "wait"),
        ("decision", "retrain"),
        ("training", "stopped"),
        ("labels", "stable"),
        ("push", "version 1"),
    ]
    assert line["events"][3]["said"] == "promote, by ann: better"
    assert line["decision"]["action"] == "retrain"


def test_the_newest_reports_are_shown(home):
    for number in range(REPORTS + 2):
        leave_report(home, report(number))
    assert timeline(home, state)["reports"][0]["until"] == day(2).isoformat()
