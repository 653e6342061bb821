"""The decision to retrain, day by day."""

from dataclasses import replace

import pytest

from monitoring.retraining import Decision, Training, decide
from monitoring.rules import Rules
from tests.support.reports import day, report

RULES = Rules()
LONG_AGO = Training(day(-8), "pushed")  # the cool-down of 7 days is over, the schedule of 14 days asks on day 6


def decided(*reports, history=(), trainings=(LONG_AGO,), rules=RULES, at=None, busy=""):
    """Decide at the end of the newest window."""
    return decide(reports, history, trainings, rules, at or reports[-1].current[1], busy)


def test_a_check_that_fails_in_two_windows_in_a_row_asks_for_a_training():
    first, second = report(1, "skip_rate", cause="behaviour"), report(2, "skip_rate", cause="behaviour")
    assert decided(first).action == "wait"
    decision = decided(first, second)
    assert (decision.action, decision.cause, decision.until) == ("retrain", "behaviour", day(2))
    assert decision.reason == "skip_rate failed in 2 windows in a row. skip_rate changed."


@pytest.mark.parametrize(
    "reports",
    [
        (report(1, "skip_rate"), report(2), report(3, "skip_rate")),  # not in a row
        (report(1, "skip_rate"), report(2, "genre_plays")),  # not the same check
        (report(1, "volume", "skip_rate"), report(2, "skip_rate")),  # the first window had an outage
        (report(-8, "skip_rate"), report(1, "skip_rate")),  # more than a week lies between them
    ],
)
def test_failures_that_are_not_in_a_row_ask_for_nothing(reports):
    decision = decided(*reports)
    name = reports[-1].failed[0].name
    later = "The schedule asks for one on 2026-03-07 00:00 UTC."
    assert (decision.action, decision.reason) == ("wait", f"{name} failed, which asks for no training yet. {later}")


def test_windows_that_nobody_checked_for_a_few_days_lie_between_two_in_a_row():
    assert decided(report(-6, "skip_rate"), report(2, "skip_rate")).action == "retrain"


def test_the_rules_say_which_kinds_count_and_how_many_windows():
    reports = report(1, "auc", cause="auc"), report(2, "auc", cause="auc")
    assert decided(*reports).action == "retrain"
    assert decided(*reports, rules=Rules(windows={"cause": 2})).action == "wait"
    assert decided(*reports, rules=Rules(windows={"quality": 3})).action == "wait"
    assert decided(*reports[1:], rules=Rules(windows={"quality": 1})).action == "retrain"


def test_an_outage_holds_whatever_else_asks():
    outage = report(2, "volume", "skip_rate", cause="outage")
    overdue = Training(day(-30), "pushed")
    decision = decided(report(1, "skip_rate"), outage, trainings=[overdue])
    assert (decision.action, decision.cause) == ("hold", "outage")
    assert decision.reason == "No training while this lasts: volume and skip_rate changed."


def test_a_report_leads_to_one_training():
    reports = [report(number, "skip_rate", cause="behaviour") for number in (1, 2, 3, 4)]
    first = decided(*reports[:2])
    rules = Rules(cooldown_days=0)
    trained = [LONG_AGO, Training(day(2), "pushed")]
    assert decided(*reports[:3], history=[first], trainings=trained, rules=rules).action == "wait"
    assert decided(*reports, history=[first], trainings=trained, rules=rules).action == "retrain"  # the days 3 and 4


def test_a_training_that_a_person_started_answers_the_windows_before_it():
    reports = report(1, "skip_rate"), report(2, "skip_rate")
    rules = Rules(cooldown_days=0)
    assert decided(*reports, trainings=[Training(day(2.5), "pushed")], rules=rules, at=day(2.9)).action == "wait"
    assert decided(*reports, trainings=[Training(day(2.5), "stopped")], rules=rules, at=day(2.9)).action == "retrain"


def test_the_schedule_asks_without_any_report():
    assert decide([], [], [Training(day(0), "pushed")], RULES, day(13.9)).action == "wait"
    decision = decide([], [], [Training(day(0), "pushed")], RULES, day(14))
    assert (decision.action, decision.cause, decision.until) == ("retrain", "schedule", None)
    assert decision.reason == "The last training began 14 days ago."


def test_the_first_training_is_a_persons():
    assert decide([], [], [], RULES, day(100)).reason == "Nothing asks for a training. None was run so far."


def test_the_cool_down_doubles_with_each_training_that_was_not_pushed():
    reports = report(9, "skip_rate"), report(10, "skip_rate")
    asked = [Decision(day(2.5), "retrain", "genre_plays failed.", "genre", day(2))]
    pushed, stopped = Training(day(2.5), "pushed"), Training(day(2.5), "stopped")
    assert decided(*reports, history=asked, trainings=[pushed]).action == "retrain"
    assert decided(*reports, history=asked, trainings=[pushed], at=day(9.4)).action == "wait"
    waiting = decided(*reports, history=asked, trainings=[stopped])
    assert waiting.action == "wait"
    assert waiting.reason.startswith("The cool-down ends on 2026-03-17 12:00 UTC.")
    assert "Asked for because: skip_rate failed" in waiting.reason


def test_any_number_of_refused_trainings_can_be_decided_about():
    reports = [report(number, "skip_rate") for number in (1, 2)]
    asked = [Decision(day(-30), "retrain", "", "genre", day(-30))]
    refused = [Training(day(-20), "stopped")] * 40
    assert decided(*reports, history=asked, trainings=refused).action == "retrain"  # the schedule has no cool-down
    soon = [*refused, Training(day(0), "stopped")]
    patient = Rules(refusals=100, a_week=100)
    assert decided(*reports, history=asked, trainings=soon, rules=patient).reason.startswith("The cool-down ends on ")


def test_a_training_of_the_schedule_or_of_a_person_has_no_cool_down():
    reports = report(9, "skip_rate"), report(10, "skip_rate")
    scheduled = [Decision(day(7.5), "retrain", "The last training began 14 days ago.", "schedule", day(7))]
    pushed = [Training(day(7.5), "pushed")]
    assert decided(*reports, history=scheduled, trainings=pushed).action == "retrain"
    assert decided(*reports, trainings=pushed).action == "retrain"


def test_the_budget_counts_the_trainings_of_seven_days():
    reports = report(9, "skip_rate"), report(10, "skip_rate")
    rules = Rules(cooldown_days=0, a_week=2)
    trainings = [Training(day(3.5), "pushed"), Training(day(7), "pushed")]
    decision = decided(*reports, trainings=trainings, rules=rules)
    assert decision.reason.startswith("The budget of 2 trainings in seven days is spent.")
    assert decided(*reports, trainings=trainings, rules=rules, at=day(10.5)).action == "retrain"


def test_a_gate_that_keeps_saying_no_calls_a_person_and_only_the_schedule_goes_on():
    reports = report(9, "skip_rate", cause="behaviour"), report(10, "skip_rate", cause="behaviour")
    stopped = [Training(day(each), "stopped") for each in (-30, -20, -2)]
    decision = decided(*reports, trainings=[LONG_AGO, *stopped])
    assert (decision.action, decision.cause) == ("call a person", "behaviour")
    assert decision.reason.startswith("None of the last 3 trainings was pushed; the last one: stopped.")
    assert decided(*reports, trainings=[LONG_AGO, *stopped], at=day(12)).action == "retrain"
    assert decided(*reports, trainings=[*stopped, Training(day(1), "pushed")]).action == "retrain"


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_a_training_that_was_cut_off_is_repeated_at_once_for_the_same_reason(status):
    reports = report(1, "skip_rate", cause="behaviour"), report(2, "skip_rate", cause="behaviour")
    first = decided(*reports)
    trainings = [LONG_AGO, Training(day(2), status)]
    again = decided(*reports, history=[first], trainings=trainings, at=day(2.1))
    assert again == replace(first, at=day(2.1))
    trainings = [LONG_AGO, *(Training(day(2 + each / 10), status) for each in range(3))]
    assert decided(*reports, history=[first], trainings=trainings, at=day(2.4)).action == "call a person"


def test_a_decision_that_nobody_carried_out_stands_until_an_outage_holds_it():
    reports = report(1, "skip_rate", cause="behaviour"), report(2, "skip_rate", cause="behaviour")
    first = decided(*reports)
    assert decided(*reports, report(3), history=[first]).action == "retrain"
    held = decided(*reports, report(3, "volume", cause="outage"), history=[first])
    assert held.action == "hold"
    after = decided(report(3, "volume", cause="outage"), report(4), history=[first, held])
    assert (after.action, after.cause, after.until) == ("retrain", "behaviour", day(2))


@pytest.mark.parametrize("status", ["pushed", "stopped"])
def test_a_training_that_a_gate_judged_ends_the_decision(status):
    first = Decision(day(2), "retrain", "skip_rate failed.", "behaviour", day(2))
    trainings = [LONG_AGO, Training(day(2), status)]
    assert decided(report(3), history=[first], trainings=trainings).action == "wait"


def test_one_training_at_a_time_and_none_beside_a_roll_out():
    reports = report(1, "skip_rate"), report(2, "skip_rate")
    running = Training(day(1.9), "running")
    assert decided(*reports, trainings=[LONG_AGO, running]).reason == "A training is at work."
    assert decided(*reports, busy="Roll-out 3 runs.").reason == "Roll-out 3 runs."
