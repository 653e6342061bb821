"""The state file: what is read is what was written, a damaged file is named, and writers take turns."""

import json
import threading

import pytest

from rollout.evidence import Evidence
from rollout.state_file import State, change, read
from segue.errors import InputError
from serving.rollouts.kept_state import NAME, FileState
from serving.store.split import Split, read_split
from tests.rollout.conftest import AT, running


def test_without_a_file_there_was_no_roll_out(tmp_path):
    assert read(tmp_path) == State()


def test_what_is_read_is_what_was_written(tmp_path):
    rollout = running(2, evidence={"reward": Evidence((0.2, 0.4), True)}, requests=(20, 22))
    state = State().recorded(rollout, "ramp", "segue", "No harm.", AT)
    assert change(tmp_path, lambda _: state) == state
    assert read(tmp_path) == state


def test_gateways_read_the_split_alone(tmp_path):
    assert read_split(tmp_path) is None
    change(tmp_path, lambda state: state.recorded(running(2), "ramp", "segue", "No harm.", AT))
    assert read_split(tmp_path) == Split(1, "running", 0.05, {"ranking": 2})
    values = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps(values | {"schema": 9, "split": values["split"] | {"newer": 1}}))
    assert read_split(tmp_path).share == 0.05  # a controller of a newer version


def test_the_stamp_tells_two_writes_of_one_moment_apart(tmp_path):
    stamps = set()
    for number in range(20):
        change(tmp_path, lambda state, n=number: state.recorded(running(), "keep", "segue", f"Look {n}.", AT))
        stamps.add(FileState(tmp_path).stamp())
    assert len(stamps) == 20


def test_a_decision_that_changes_nothing_leaves_the_history(tmp_path):
    state = State().recorded(running(), "start", "ann", "x", AT)
    noted = state.noted(running(), "wait", "segue", "No traffic.", AT)
    assert noted.history == state.history
    assert noted.last.reason == "No traffic."


@pytest.mark.parametrize(
    ("edit", "headline"),
    [
        (lambda v: v | {"schema": 2}, "has the format 1 in this version of Segue. It has 2"),
        (lambda v: v | {"schema": None}, "must be the state of roll-outs. schema:"),
        (lambda v: v | {"more": 1}, "must be the state of roll-outs. more: Unexpected"),
        (lambda v: v | {"rollout": v["rollout"] | {"phase": "paused"}}, "rollout.phase: Input should be 'starting'"),
        (lambda v: v | {"rollout": v["rollout"] | {"stage": 5}}, "one of 4 stages"),
        (lambda v: v | {"rollout": v["rollout"] | {"candidate": {}}}, "rollout.candidate:"),
        (lambda v: v | {"rollout": v["rollout"] | {"since": "2026-03-02"}}, "rollout.since:"),
        (lambda v: v | {"history": []}, "must be the state of roll-outs. history: it says when roll-out 1 was started"),
        (lambda v: [v], "must be the state of roll-outs. The file:"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, edit, headline):
    change(tmp_path, lambda state: state.recorded(running(), "start", "ann", "x", AT))
    values = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps(edit(values)))
    with pytest.raises(InputError, match=headline):
        read(tmp_path)


def test_half_a_file_is_named(tmp_path):
    (tmp_path / NAME).write_text('{"schema": 1')
    with pytest.raises(InputError, match="must be JSON"):
        read(tmp_path)


def test_an_edit_that_fails_writes_nothing(tmp_path):
    def refuse(state):
        raise InputError("no")

    with pytest.raises(InputError):
        change(tmp_path, refuse)
    assert not (tmp_path / NAME).exists()


def test_writers_take_turns(tmp_path):
    def record(number):
        for _ in range(5):
            change(tmp_path, lambda state: state.recorded(running(), "keep", f"writer {number}", "x", AT))

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(tmp_path).history) == 20
