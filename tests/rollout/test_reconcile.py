"""One call after which the roll-out, the labels and MLflow agree."""

from functools import partial

import pytest

from rollout import moves
from rollout.decision import Decision
from rollout.moves import start
from rollout.plan import Plan
from rollout.reconcile import reconcile
from rollout.rollout import DRAIN
from rollout.state_file import read
from segue.errors import UnavailableError
from segue.files import TEMPORARY
from segue.settings import Home
from serving.store import model_store
from serving.store.moving import locked
from tests.rollout.conftest import AT


@pytest.fixture
def home(tmp_path, store) -> Home:
    """A home with a roll-out of 2 beside 1, whose taking back was cut off after its first write."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    store().rename(home.models)
    start(home.models, None, Plan(shadow=0.0), "ann", AT)
    root = home.models
    decided = partial(
        moves.decided, decision=Decision("take back", "x"), by="ann", at=AT, labels=model_store.labels(root)
    )
    moves.change(root, lambda state: decided(state))
    return home


def test_what_was_cut_off_is_finished_and_a_repetition_changes_nothing(home):
    assert model_store.labels(home.models)["ranking"] == {"stable": 1, "canary": 2}
    assert reconcile(home, AT) == []
    assert model_store.labels(home.models)["ranking"] == {"stable": 1, "canary": 1, "draining": 2}
    assert reconcile(home, AT + DRAIN) == []
    assert read(home.models).rollout.phase == "taken back"
    before = {path: path.read_bytes() for path in home.models.glob("*.*")}
    assert reconcile(home, AT + DRAIN) == []
    assert {path: path.read_bytes() for path in home.models.glob("*.*")} == before
    assert not home.mlflow.exists()  # no run was tracked in this home


def test_a_label_that_a_way_back_left_at_its_end_is_removed(home, monkeypatch):
    reconcile(home, AT)
    with monkeypatch.context() as patched:  # killed once the state is written
        patched.setattr(moves, "followed", lambda root, announce: moves.newest(root))
        moves.settle(home.models, AT + DRAIN)
    assert read(home.models).rollout.phase == "taken back"
    assert model_store.labels(home.models)["ranking"] == {"stable": 1, "canary": 1, "draining": 2}
    assert reconcile(home, AT + DRAIN) == []
    assert model_store.labels(home.models)["ranking"] == {"stable": 1, "canary": 1}


def test_a_server_that_refuses_is_named_and_asked_again(home):
    def refuse(*_):
        raise UnavailableError("The server gave no answer.", "")

    assert reconcile(home, AT, refuse) == ["The labels do not follow the roll-out yet: The server gave no answer."]
    assert read(home.models).rollout.phase == "taking back"
    assert reconcile(home, AT, lambda *_: None) == []
    assert read(home.models).rollout.phase == "draining"


def test_what_a_killed_command_has_half_written_is_removed(home):
    left = [home.models / f"{TEMPORARY}{name}-0123abcd" for name in ("models.config", "rollout.json")]
    left.append(home.models / "ranking" / f"{TEMPORARY}3")
    for path in left:
        path.touch()
    with locked(home.models):  # by a push that is at work
        left[-1].touch()
        assert reconcile(home, AT) == []
        assert left[-1].exists()
    for path in left:
        path.touch()
    assert reconcile(home, AT) == []
    assert not [path for path in left if path.exists()]
