"""Items are added to both sides of a roll-out, which goes on; a kill, a refusal or an abort leaves no half of it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rollout import moves
from rollout.decision import Decision
from rollout.moves import act, settle, start
from rollout.plan import Plan
from rollout.reconcile import reconcile
from rollout.rollout import DRAIN, KEPT
from rollout.state_file import change, read
from segue.errors import InputError, SegueError, UnavailableError
from segue.settings import Home
from serving.store import model_store
from serving.store.relabel import LOAD_SECONDS
from serving.store.split import read_split
from tests.rollout.conftest import AT, DAY
from tests.rollout.test_moves import decide, labels, refuse
from tests.support import killed

LATER = AT + DAY


def tried(store) -> Path:
    """A store whose roll-out of 2 beside 1 is at its second stage; it has versions 3 and 4, with items, of both."""
    root = store()
    start(root, None, Plan(shadow=0.0), "ann", AT)
    act(root, Decision("ramp", "No harm.", requests=(30, 28)), "segue", AT)
    for version in (1, 2):
        model_store.push(root, {model: root / model / str(version) for model in ("ranking", "retrieval")}, label=None)
    return root


def both(version: int) -> dict[str, int]:
    return {"ranking": version, "retrieval": version}


def add(root: Path, at=LATER, announce=None, new=(3, 4)):
    rollout = read(root).rollout
    before = {"stable": rollout.control, "canary": rollout.candidate}
    after = {"stable": both(new[0]), "canary": both(new[1])}
    return moves.add_items(root, before, after, "2 items added, 0 replaced", "ann", at, announce)


def test_a_roll_out_goes_on_with_the_versions_that_have_the_items(store):
    root = tried(store)
    began, before = read(root).rollout, read(root)
    state = add(root)
    assert labels(root) == {"stable": 3, "canary": 4, "replaced": 2}  # requests that pinned 2 still end
    rollout = state.rollout
    assert (rollout.candidate, rollout.control) == (both(4), both(3))
    for name in ("number", "salt", "phase", "stage", "share", "since", "requests", "evidence", "plan"):
        assert getattr(rollout, name) == getattr(began, name)
    assert (state.began, state.last) == (AT, before.last)
    assert [(each.action, each.by) for each in state.history[len(before.history) :]] == [
        ("add items", "ann"), ("items added", "segue")
    ]  # fmt: skip
    assert state.history[-2].reason == (
        "2 items added, 0 replaced: ranking 4, retrieval 4 follows ranking 2, retrieval 2, "
        "beside ranking 3, retrieval 3."
    )
    assert settle(root, LATER + KEPT).rollout.replaced is None
    assert labels(root) == {"stable": 3, "canary": 4}
    assert decide(root, "promote").rollout.phase == "promoted"
    assert labels(root) == {"stable": 4, "canary": 4}
    assert model_store.rollback(root) == ("stable", both(3))  # the successor of the old stable


def test_a_replaced_candidate_drains_also_if_a_server_takes_its_time():
    assert KEPT - timedelta(seconds=LOAD_SECONDS) == DRAIN


def test_listeners_keep_the_candidate_until_its_successor_is_loaded(store):
    root = tried(store)
    seen = []
    add(root, announce=lambda *_: seen.append((read_split(root), labels(root))))
    split, named = seen[0]
    assert (split.candidate, split.share, named) == (both(2), 0.05, {"stable": 1, "canary": 2})
    assert read_split(root) == replace(split, candidate=both(4))


@pytest.mark.parametrize("action", ["hold", "take back"])
def test_a_person_decides_as_before(store, action):
    root = tried(store)
    add(root)
    phase = {"hold": "held", "take back": "draining"}[action]
    assert decide(root, action).rollout.phase == phase
    if action == "take back":
        assert labels(root) == {"stable": 3, "canary": 3, "draining": 4, "replaced": 2}
        settle(root, LATER + KEPT)
        assert labels(root) == {"stable": 3, "canary": 3}


def test_a_roll_out_that_is_held_stays_so_and_the_shadow_too(store):
    root = tried(store)
    decide(root, "hold")
    assert add(root).rollout.phase == "held"
    change(root, lambda state: replace(state, rollout=replace(state.rollout, stage=0, plan=Plan())))
    model_store.push(root, {model: root / model / "3" for model in both(3)}, label=None)
    model_store.push(root, {model: root / model / "4" for model in both(4)}, label=None)
    state = add(root, LATER + DAY, new=(5, 6))
    assert (state.rollout.stage, read_split(root).candidate) == (0, both(6))
    assert labels(root) == {"stable": 5, "canary": 6, "replaced": 4}


def test_an_abort_while_a_server_loads_leaves_what_was_stable(store):
    root = tried(store)

    def abort(*_):
        decide(root, "take back", LATER)
        assert read_split(root).share == 0
        assert labels(root) == {"stable": 1, "canary": 1, "replaced": 2}

    with pytest.raises(UnavailableError, match="was changed while items were added"):
        add(root, announce=abort)
    settle(root, LATER + KEPT)
    assert (read(root).rollout.phase, read(root).rollout.replaced) == ("taken back", None)
    assert labels(root) == {"stable": 1, "canary": 1}


def test_a_server_that_refuses_is_asked_again_and_nothing_goes_on_meanwhile(store):
    root = tried(store)
    with pytest.raises(SegueError, match="refused"):
        add(root, announce=refuse)
    assert (labels(root), read_split(root).candidate) == ({"stable": 1, "canary": 2}, both(2))
    before = read(root)
    with pytest.raises(InputError, match="once the labels name the versions with added items"):
        moves.decided(before, Decision("promote", "x"), "ann", LATER, model_store.labels(root))
    assert settle(root, LATER).rollout.replaced.since == LATER
    assert labels(root) == {"stable": 3, "canary": 4, "replaced": 2}


def test_a_promotion_right_after_keeps_what_requests_pin(store):
    root = tried(store)
    add(root)
    assert decide(root, "promote", LATER).rollout.phase == "promoted"
    assert labels(root) == {"stable": 4, "canary": 4, "replaced": 2}
    home = Home(root.parent / "home")
    home.root.mkdir()
    root.rename(home.models)
    assert reconcile(home, LATER + KEPT) == []
    assert labels(home.models) == {"stable": 4, "canary": 4}


@pytest.mark.parametrize("meanwhile", ["another push", "other items", "the end"])
def test_what_was_changed_meanwhile_gets_no_items(store, source, meanwhile):
    root = tried(store)
    before = {"stable": both(1), "canary": both(2)}
    if meanwhile == "another push":
        model_store.push(root, dict.fromkeys(both(0), source))
    elif meanwhile == "other items":
        add(root)
    else:
        decide(root, "take back")
    wanted, state = labels(root), read(root)
    with pytest.raises((InputError, UnavailableError), match=r"another version is now|was changed"):
        moves.add_items(root, before, {"stable": both(3), "canary": both(4)}, "x", "ann", LATER)
    assert (labels(root), read(root)) == (wanted, state)


def test_a_model_that_is_not_tried_gets_its_stable_successor(store, source):
    root = store()
    start(root, None, Plan(shadow=0.0), "ann", AT)
    change(root, lambda state: replace(state, rollout=replace(state.rollout, candidate={"ranking": 2})))
    model_store.promote(root, 1, "canary")
    settle(root, AT)
    model_store.push(root, dict.fromkeys(both(3), source), label=None)
    model_store.push(root, {"ranking": source}, label=None)
    before = {"stable": both(1), "canary": {"ranking": 2}}
    moves.add_items(root, before, {"stable": both(3), "canary": {"ranking": 4}}, "x", "ann", LATER)
    assert model_store.labels(root) == {
        "ranking": {"stable": 3, "canary": 4, "replaced": 2},
        "retrieval": {"stable": 3, "canary": 3},
    }


def test_killed_before_any_write_the_next_command_finishes_it(store, monkeypatch):
    monkeypatch.setattr(killed, "FILE_EVENTS", ("os.rename",))  # each write ends with one; nothing else changes a state
    roots, kills = [tried(store)], 0
    for _ in killed.killed_at_each_step(lambda: add(roots[-1])):
        root = roots[-1]
        began = "add items" in [each.action for each in read(root).history]
        assert labels(root) in ({"stable": 1, "canary": 2}, {"stable": 3, "canary": 4, "replaced": 2})
        state = settle(root, LATER)
        assert (labels(root)["stable"], labels(root)["canary"]) == ((3, 4) if began else (1, 2))
        assert state.rollout.candidate == both(4 if began else 2)
        assert not state.rollout.replacing
        roots.append(tried(store))
        kills += 1
    assert kills > 2
