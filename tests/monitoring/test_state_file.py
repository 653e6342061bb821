"""The state of the loop: written whole, decisions only added."""

import json

import pytest

from monitoring.retraining import Decision
from monitoring.state_file import State, change, read
from segue.errors import InputError
from tests.support.reports import day

WAIT = Decision(day(1), "wait", "Nothing asks for a training.", None, day(1))
RETRAIN = Decision(day(2), "retrain", "skip_rate failed.", "behaviour", day(2))


def test_decisions_are_added_and_read_as_they_were(tmp_path):
    path = tmp_path / "reports" / "retraining.json"
    assert read(path) == State()
    for decision in (WAIT, RETRAIN):
        change(path, lambda state, decision=decision: state.decided(decision))
    assert read(path) == State(history=(WAIT, RETRAIN))


def test_the_same_decision_at_a_later_time_adds_nothing():
    again = Decision(day(1.5), WAIT.action, WAIT.reason, WAIT.cause, WAIT.until)
    assert State(history=(WAIT,)).decided(again) == State(history=(WAIT,))
    newer = Decision(day(2), WAIT.action, WAIT.reason, WAIT.cause, day(2))
    assert State(history=(WAIT,)).decided(newer).history == (WAIT, newer)


@pytest.mark.parametrize("text", ['{"schema": 2}', "[]", '{"history": [{"at": "2026-03-01"}]}', "{"])
def test_a_damaged_file_or_a_newer_one_is_refused_with_its_place(tmp_path, text):
    path = tmp_path / "retraining.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"retraining\.json must be"):
        read(path)
    assert path.read_text() == text


def test_a_change_that_fails_leaves_the_file(tmp_path):
    path = tmp_path / "retraining.json"
    change(path, lambda state: state.decided(WAIT))
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        change(path, lambda state: State(tracked=1 // 0))
    assert path.read_bytes() == before
    assert json.loads(before)["history"][0]["action"] == "wait"
