"""The moves of a roll-out: labels follow the state, never vanish under callers, and survive a kill at each step."""

import fcntl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rollout import moves
from rollout.decision import Decision
from rollout.moves import act, settle, start
from rollout.plan import Plan
from rollout.rollout import DRAIN
from rollout.state_file import read
from segue.errors import InputError, SegueError
from segue.files import read_json
from segue.settings import DECISIONS
from serving.store import model_store
from tests.rollout.conftest import AT
from tests.support import killed

LATER = AT + DRAIN
NO_SHADOW = Plan(shadow=0.0)


def labels(root: Path) -> dict[str, int]:
    """The labels of the models, which are equal."""
    first, *others = model_store.labels(root).values()
    assert all(other == first for other in others)
    return first


def begin(root: Path, at=AT):
    return start(root, None, NO_SHADOW, "ann", at)


def decide(root: Path, action, at=AT, **options):
    return act(root, Decision(action, "because"), "ann", at, **options)


def test_a_candidate_is_taken_back_in_three_writes(store):
    root = store()
    assert begin(root).rollout.share == 0.01
    assert labels(root) == {"stable": 1, "canary": 2}

    state = decide(root, "take back")
    assert (state.rollout.phase, state.rollout.share) == ("draining", 0.0)
    assert labels(root) == {"stable": 1, "canary": 1, "draining": 2}  # a server keeps 2 for the requests that pin it

    assert settle(root, LATER - timedelta(seconds=1)).rollout.phase == "draining"
    assert settle(root, LATER).rollout.phase == "taken back"
    assert labels(root) == {"stable": 1, "canary": 1}
    assert [record.action for record in read(root).history] == [
        "start", "running", "take back", "draining", "taken back"
    ]  # fmt: skip


def test_a_promoted_candidate_is_stable_and_keeps_the_canary(store):
    root = store()
    begin(root)
    state = decide(root, "promote")
    assert (state.rollout.phase, state.rollout.share) == ("promoted", 0.0)
    assert labels(root) == {"stable": 2, "canary": 2}
    assert model_store.rollback(root) == ("stable", {"ranking": 1, "retrieval": 1})
    assert labels(root) == {"stable": 1, "canary": 1}


def test_a_shadow_comes_before_the_first_share(store):
    root = store()
    state = start(root, None, Plan(), "ann", AT)
    assert (state.rollout.phase, state.rollout.stage, state.rollout.share) == ("running", 0, 0.0)
    assert state.rollout.split.shadow == Plan().shadow
    decide(root, "hold")
    assert decide(root, "resume").rollout.stage == 0  # a person's pause does not skip it
    state = decide(root, "ramp", LATER)
    assert (state.rollout.stage, state.rollout.share, state.rollout.since) == (1, 0.01, LATER)
    assert state.rollout.split.shadow == 0.0


def test_the_share_is_0_before_the_label_can_move(store):
    root = store()
    begin(root)
    phases = []

    def announce(before, after, current):
        phases.append((read(root).rollout.phase, read(root).rollout.share))

    decide(root, "take back", announce=announce)
    assert phases == [("taking back", 0.0), ("draining", 0.0)]


def test_the_share_is_0_although_the_server_refuses(store):
    root = store()
    begin(root)
    with pytest.raises(SegueError):
        decide(root, "take back", announce=refuse)
    assert (read(root).rollout.phase, read(root).rollout.share) == ("taking back", 0.0)
    assert labels(root) == {"stable": 1, "canary": 1, "draining": 2}
    told = []
    assert settle(root, AT, lambda *texts: told.append(texts)).rollout.phase == "draining"
    assert told  # the labels had moved already, and the server had not heard of it


def test_a_candidate_is_taken_back_while_the_store_is_locked(store):
    root = store()
    begin(root)
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert decide(root, "hold").rollout.phase == "held"  # no label moves, so the lock is not waited for
        assert decide(root, "take back").rollout.phase == "draining"
        assert labels(root) == {"stable": 1, "canary": 1, "draining": 2}


def refuse(before, after, current):
    raise SegueError("The model server refused.")


def test_a_candidate_that_no_server_loads_can_be_taken_back(store):
    root = store()
    model_store.promote(root, 1, "canary")
    with pytest.raises(SegueError, match="refused"):
        start(root, 2, NO_SHADOW, "ann", AT, refuse)
    assert (read(root).rollout.phase, read(root).rollout.share) == ("starting", 0.0)
    assert decide(root, "take back").rollout.phase == "draining"
    assert labels(root) == {"stable": 1, "canary": 1}


def test_a_version_that_is_not_whole_starts_nothing(store):
    root = store()
    (root / "ranking" / "2" / "saved_model.pb").write_bytes(b"other")
    with pytest.raises(InputError, match="Only a whole version"):
        begin(root)
    assert read(root).rollout is None


def test_a_promotion_that_a_server_refuses_can_be_taken_back(store):
    root = store()
    begin(root)
    with pytest.raises(SegueError, match="refused"):
        decide(root, "promote", announce=refuse)
    assert read(root).rollout.phase == "promoting"
    decide(root, "take back")
    assert labels(root) == {"stable": 1, "canary": 1, "draining": 2}


def test_a_promotion_that_was_killed_after_its_labels_can_be_taken_back(store):
    root = store()
    begin(root)
    moves.change(root, lambda s: moves.decided(s, Decision("promote", "x"), "ann", AT, model_store.labels(root)))
    model_store.promote(root, 2)
    decide(root, "take back")
    assert labels(root) == {"stable": 1, "canary": 1, "draining": 2}


def test_a_push_to_stable_overtakes_a_promotion_that_was_killed_before_its_labels(store, source):
    root = store()
    begin(root)
    moves.change(root, lambda s: moves.decided(s, Decision("promote", "x"), "ann", AT, model_store.labels(root)))
    model_store.push(root, {"ranking": source, "retrieval": source})
    assert settle(root, AT).rollout.phase == "promoted"
    assert labels(root) == {"stable": 3, "canary": 3}
    (promoted,) = (root / DECISIONS).glob("*-promote.json")
    assert read_json(promoted)["versions"] == {"ranking": 2, "retrieval": 2}


def test_a_ramp_and_a_hold_are_recorded_and_a_look_is_not(store):
    root = store()
    begin(root)
    act(root, Decision("ramp", "No harm.", requests=(30, 28)), "segue", LATER)
    act(root, Decision("keep", "Not over."), "segue", LATER)
    state = decide(root, "hold")
    assert (state.rollout.stage, state.rollout.share, state.rollout.requests) == (2, 0.05, (30, 28))
    assert state.rollout.since == LATER
    assert [record.action for record in state.history] == ["start", "running", "ramp", "hold"]
    assert decide(root, "resume").rollout.phase == "running"


def test_a_second_roll_out_has_another_salt(store):
    root = store()
    first = begin(root).rollout
    decide(root, "promote")
    model_store.push(root, {"ranking": root / "ranking" / "2"}, label="canary")
    second = begin(root).rollout
    assert (first.salt, second.salt) == ("rollout/1", "rollout/2")
    assert (second.candidate, second.control) == ({"ranking": 3}, {"ranking": 2, "retrieval": 2})


def test_a_version_without_a_label_can_be_rolled_out(store):
    root = store()
    model_store.rollback(root)
    assert start(root, 2, NO_SHADOW, "ann", AT).rollout.candidate == {"ranking": 2, "retrieval": 2}
    assert labels(root)["canary"] == 2


@pytest.mark.parametrize(("version", "rule"), [(1, "ranking 1, retrieval 1, which is stable"), (None, "no candidate")])
def test_what_is_stable_is_no_candidate(store, version, rule):
    root = store()
    model_store.promote(root, 1, "canary")
    with pytest.raises(InputError, match=rule):
        start(root, version, NO_SHADOW, "ann", AT)


def test_there_is_one_roll_out_at_a_time(store):
    root = store()
    begin(root)
    with pytest.raises(InputError, match="Number 1 is running"):
        begin(root)


@pytest.mark.parametrize("action", ["ramp", "promote", "take back", "hold", "resume"])
def test_without_a_roll_out_nothing_is_decided(store, action):
    root = store()
    with pytest.raises(InputError, match="There was none yet"):
        decide(root, action)


def test_a_push_to_stable_ends_the_comparison(store, source):
    root = store()
    begin(root)
    model_store.push(root, {"ranking": source, "retrieval": source})
    for action in ("ramp", "promote"):
        with pytest.raises(InputError, match="another version is now"):
            decide(root, action)
    decide(root, "take back")
    settle(root, LATER)
    assert labels(root) == {"stable": 3, "canary": 3}


def test_a_new_model_has_nothing_to_return_to(store, source):
    root = store()
    model_store.push(root, {"sequence": source}, label="canary")
    start(root, 3, NO_SHADOW, "ann", AT)
    decide(root, "take back")
    assert model_store.labels(root)["sequence"] == {"draining": 3}
    settle(root, LATER)
    assert "sequence" not in model_store.labels(root)


def test_a_decision_that_comes_meanwhile_moves_the_labels_its_way(store):
    """A start whose label moves only after an abort has been written: the label follows the abort."""
    root = store()
    model_store.rollback(root)

    def abort(before, after, current):
        moves.change(root, lambda s: moves.decided(s, Decision("take back", "x"), "bob", AT, model_store.labels(root)))

    assert start(root, 2, NO_SHADOW, "ann", AT, abort).rollout.phase == "draining"
    assert labels(root) == {"stable": 1, "canary": 1}


MOVES: dict[str, tuple[list[Callable], Callable, str, dict[str, int]]] = {
    # name: what was done before, the move, the phase at its end, the labels at its end
    "start": ([], begin, "running", {"stable": 1, "canary": 2}),
    "take back": (
        [begin],
        lambda root: decide(root, "take back"),
        "draining",
        {"stable": 1, "canary": 1, "draining": 2},
    ),
    "unload": (
        [begin, lambda root: decide(root, "take back")],
        lambda root: settle(root, LATER),
        "taken back",
        {"stable": 1, "canary": 1},
    ),
    "promote": ([begin], lambda root: decide(root, "promote"), "promoted", {"stable": 2, "canary": 2}),
    "ramp": ([begin], lambda root: decide(root, "ramp"), "running", {"stable": 1, "canary": 2}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVES)
def test_a_move_killed_before_any_of_its_writes_is_finished_by_the_next_command(store, name, monkeypatch):
    monkeypatch.setattr(killed, "FILE_EVENTS", ("os.rename",))  # each write ends with one; nothing else changes a state
    before, move, phase, wanted = MOVES[name]
    roots = []

    def prepared() -> Path:
        roots.append(store())
        for each in before:
            each(roots[-1])
        return roots[-1]

    prepared()
    kills = 0
    for _ in killed.killed_at_each_step(lambda: move(roots[-1])):
        root, kills = roots[-1], kills + 1
        assert {"stable", "canary"} <= labels(root).keys()  # callers find their label at any moment
        history = read(root).history
        try:
            move(root)
        except InputError:  # it had come to its end before the kill
            pass
        state = read(root)
        assert (state.rollout.phase, labels(root)) == (phase, wanted)
        assert state.history[: len(history)] == history
        prepared()
    assert kills > 1
