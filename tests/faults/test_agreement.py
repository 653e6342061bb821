"""Commands are killed before writes that last: one invocation later all states agree."""

import sqlite3
from contextlib import closing

import pytest

from segue.files import TEMPORARY, read_json, write_json
from segue.settings import Home
from serving.store import model_store
from tests.faults.agreed import disagreements
from tests.faults.agreement import Rounds, run_rounds
from tests.faults.kill_actions import ACTIONS, HOMES, RUNS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("default_signals")]
SOME = {
    "end of a run": 8,
    "models rollback of a candidate": 4,
    "monitor": 4,
    "look: take back": 4,
    "models add-items in a roll-out": 4,
}  # every n-th moment


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """Homes that are made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Rounds(tmp_path_factory.mktemp("agreement"))


@pytest.mark.parametrize("name", SOME)
def test_what_was_killed_agrees_after_one_invocation(rounds, name):
    (action,) = (each for each in ACTIONS if each.name == name)
    for each in run_rounds(rounds, [action], every=SOME[name]):
        assert each.hit, each.moment
        assert not each.wrong, each


def test_every_area_has_actions_that_begin_in_known_homes():
    assert {each.area for each in ACTIONS} == {"run", "push", "labels", "decision", "rollout"}
    assert len({each.name for each in ACTIONS}) == len(ACTIONS)
    assert {each.home for each in ACTIONS} <= set(HOMES)


def drop_record(home: Home) -> None:
    """A move without its record."""
    next(home.decisions.glob("*-start.json")).unlink()


def leave_phase(home: Home) -> None:
    """A roll-out that is in the middle of a move."""
    state = read_json(home.models / "rollout.json")
    state["rollout"]["phase"] = "promoting"
    write_json(home.models / "rollout.json", state)


def forget_rollout(home: Home) -> None:
    """A candidate that nobody tries."""
    (home.models / "rollout.json").unlink()


def in_mlflow(statement: str):
    """A change of MLflow's database."""

    def edit(home: Home) -> None:
        with closing(sqlite3.connect(home.tracking_database)) as database:
            database.execute(statement)
            database.commit()

    return edit


TWICE = "update runs set name = (select min(name) from runs)"
BROKEN = {
    "nothing": (lambda home: None, ""),
    "labels": (lambda home: model_store.promote(home.models, 1, "canary"), "the labels are"),
    "record": (drop_record, "has not one record"),
    "phase": (leave_phase, "the roll-out is promoting"),
    "waiting": (forget_rollout, "nobody tries the candidate"),
    "reference": (lambda home: home.reference(RUNS[1]).unlink(), "the drift reference of"),
    "unsent": (lambda home: home.run(RUNS[1]).unsent.write_text("{}"), "is not sent to MLflow"),
    "alias": (in_mlflow("delete from registered_model_aliases where alias = 'champion'"), "MLflow's aliases of"),
    "twice": (in_mlflow(TWICE), "MLflow has training-20260301T120000 2 times"),
    "unfinished": (lambda home: (home.models / f"{TEMPORARY}x").touch(), "unfinished: models/"),
    "version": (lambda home: (home.models / "ranking" / "2" / "saved_model.pb").write_text("x"), "ranking 2:"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_disagreement_is_named(rounds, name):
    home = rounds.copy("tried")
    breaks, sentence = BROKEN[name]
    breaks(home)
    found = list(disagreements(home))
    assert bool(found) == bool(sentence)
    assert not sentence or any(sentence in each for each in found), found
