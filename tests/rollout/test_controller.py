"""The controller: what a look sees is carried out, once, whoever else decides and whatever was killed."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from rollout import controller, moves
from rollout.controller import alone, step
from rollout.decision import Decision
from rollout.moves import act, start
from rollout.plan import Plan
from rollout.rollout import DRAIN
from rollout.state_file import change, read
from segue.errors import InputError, SegueError, UnavailableError
from segue.settings import Home
from serving.rollouts.kept_counts import FileCounts
from serving.store import model_store
from surfaces.cohorts.counts import SHADOW, STABLE_SHADOW, CohortCounts
from tests.rollout.conftest import AT, DAY
from tests.rollout.conftest import look as looked
from tests.support import killed

PLAN = Plan(shadow_requests=10, least_requests=5, stages=(0.1, 0.5))


@pytest.fixture
def home(store, tmp_path):
    """A home whose roll-out is in the shadow."""
    root = store()
    home = Home(tmp_path / "home")
    home.root.mkdir()
    root.rename(home.models)
    start(home.models, None, PLAN, "ann", AT)
    return home


def count(home, requests, errors=0, at=AT, cohorts=("control", "candidate")):
    """Requests of two cohorts, as a gateway counts them; the errors are the second one's."""
    counts = CohortCounts()
    for number in range(requests):
        for cohort in cohorts:
            counts.by_number[1][cohort].add(cohort == cohorts[1] and number < errors, 0.01, at)
    asyncio.run(counts.write(FileCounts(home.rollout_counts)))


def shadow(home, requests, errors=0):
    count(home, requests, errors, cohorts=(STABLE_SHADOW, SHADOW))


def test_without_a_roll_out_nothing_happens(tmp_path):
    assert step(Home(tmp_path), AT).rollout is None


def test_a_candidate_that_waits_is_tried_once(store, tmp_path):
    home = Home(tmp_path / "home")
    home.root.mkdir()
    store().rename(home.models)
    state = step(home, AT, plan=PLAN)
    assert (state.rollout.number, state.rollout.candidate) == (1, {"ranking": 2, "retrieval": 2})
    assert (state.rollout.phase, state.rollout.plan, state.history[0].by) == ("running", PLAN, "segue")
    act(home.models, Decision("take back", "x"), "ann", AT)
    step(home, AT + DRAIN)
    model_store.promote(home.models, 2, "canary")  # for callers of the label, without a roll-out
    assert (step(home, AT + DAY).rollout.phase, len(read(home.models).history)) == ("taken back", 5)


def test_from_the_shadow_to_a_stage_and_back_by_errors(home):
    assert (step(home, AT).last.action, read(home.models).rollout.stage) == ("wait", 0)
    shadow(home, 10)
    state = step(home, AT)
    assert (state.last.action, state.rollout.stage, state.rollout.share) == ("ramp", 1, 0.1)
    count(home, 100, at=AT + DAY)
    assert step(home, AT + DAY / 2).last.action == "keep"  # the stage is not over
    count(home, 40, errors=30, at=AT + DAY)  # another gateway
    state = step(home, AT + DAY / 2)
    assert (state.rollout.phase, state.rollout.share) == ("draining", 0.0)
    assert state.last.reason.startswith("Errors are 21.43% of 140 requests, 0.00% of the control's 140.")
    assert step(home, AT + DAY / 2 + DRAIN).rollout.phase == "taken back"
    assert model_store.labels(home.models)["ranking"] == {"stable": 1, "canary": 1}
    before = (home.models / "rollout.json").read_bytes()
    step(home, AT + DAY)
    assert (home.models / "rollout.json").read_bytes() == before


def test_errors_in_the_shadow_take_the_candidate_back(home):
    shadow(home, 30, errors=30)
    state = step(home, AT)
    assert (state.rollout.phase, state.last.by) == ("draining", "segue")
    assert "In the shadow: Errors are 100.00%" in state.last.reason


def test_a_promotion_is_carried_out(home, monkeypatch):
    change(home.models, lambda now: replace(now, rollout=replace(now.rollout, stage=2)))
    monkeypatch.setattr(controller, "look", lambda *_: looked())
    state = step(home, AT + DAY)
    assert (state.rollout.phase, state.last.action) == ("promoted", "promote")
    assert model_store.labels(home.models)["ranking"] == {"stable": 2, "canary": 2}


def test_what_a_person_decides_during_a_look_stands(home, monkeypatch):
    shadow(home, 10)
    look = controller.look

    def held_meanwhile(*arguments):
        seen = look(*arguments)
        act(home.models, Decision("hold", "x"), "ann", AT)
        return seen

    monkeypatch.setattr(controller, "look", held_meanwhile)
    state = step(home, AT)
    assert (state.rollout.phase, state.rollout.stage, state.last.by) == ("held", 0, "ann")


def test_a_push_to_stable_is_said_and_nothing_moves(home, source):
    shadow(home, 10)
    model_store.push(home.models, {"ranking": source, "retrieval": source})
    state = step(home, AT)
    assert (state.rollout.stage, state.last.action) == (0, "wait")
    assert "another version is now" in state.last.reason


def test_harm_takes_a_candidate_back_although_a_server_refuses_versions_with_items(home):
    def refuse(before, after, current):
        raise SegueError("The model server refused.")

    root = home.models
    sides = {"stable": read(root).rollout.control, "canary": read(root).rollout.candidate}
    after = {
        label: dict.fromkeys(of, model_store.push(root, {m: root / m / str(v) for m, v in of.items()}, label=None))
        for label, of in sides.items()
    }
    with pytest.raises(SegueError, match="refused"):
        moves.add_items(root, sides, after, "1 item", "ann", AT, refuse)
    with pytest.raises(SegueError, match="refused"):
        step(home, AT, refuse)
    assert read(root).last.action == "wait"
    shadow(home, 30, errors=30)
    with pytest.raises(SegueError, match="refused"):
        step(home, AT, refuse)
    assert (read(root).rollout.phase, model_store.labels(root)["ranking"]["canary"]) == ("taking back", 1)
    step(home, AT)
    assert step(home, AT + DRAIN).rollout.phase == "taken back"
    assert model_store.labels(root)["ranking"] == {"stable": 1, "canary": 1}


def test_a_server_that_refuses_is_asked_again_at_the_next_look(home):
    def refuse(before, after, current):
        raise SegueError("The model server refused.")

    shadow(home, 30, errors=30)
    with pytest.raises(SegueError):
        step(home, AT, refuse)
    assert read(home.models).rollout.share == 0.0
    assert step(home, AT).rollout.phase == "draining"


def test_damaged_counts_are_named(home):
    shadow(home, 10)
    (file,) = (home.rollout_counts / "1").glob("*.json")
    file.write_text("{")
    with pytest.raises(InputError, match=r"must be JSON"):
        step(home, AT)


@pytest.mark.slow
def test_one_controller_at_a_time(home):
    with alone(home, AT), pytest.raises(UnavailableError, match="looks at the roll-out"), alone(home, AT):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("errors", "phase", "labels"),
    [(0, "running", {"stable": 1, "canary": 2}), (30, "taken back", {"stable": 1, "canary": 1})],
)
def test_a_look_killed_before_any_of_its_writes_is_finished_by_the_next(
    store, tmp_path, errors, phase, labels, monkeypatch
):
    monkeypatch.setattr(killed, "FILE_EVENTS", ("os.rename",))
    made: list[Home] = []

    def prepared():
        home = Home(tmp_path / f"home{len(made)}")
        home.root.mkdir()
        store().rename(home.models)
        start(home.models, None, PLAN, "ann", AT)
        shadow(home, 30, errors)
        made.append(home)

    prepared()
    kills = 0
    for _ in killed.killed_at_each_step(lambda: step(made[-1], AT)):
        home, kills = made[-1], kills + 1
        step(home, AT)
        state = step(home, AT + DRAIN + timedelta(seconds=1))
        assert (state.rollout.phase, model_store.labels(home.models)["ranking"]) == (phase, labels)
        assert state.rollout.stage == (0 if errors else 1)
        assert [record.action for record in state.history].count("take back" if errors else "ramp") == 1
        prepared()
    assert kills > 0
