"""Decisions on labels: beside a roll-out they are decisions about it, else moves of the store."""

from datetime import timedelta

import pytest

from rollout import moves
from rollout.decision import Decision
from rollout.label_decisions import promote, roll_back
from rollout.moves import settle, start
from rollout.plan import Plan
from rollout.rollout import DRAIN
from rollout.state_file import read
from segue.errors import InputError, UnavailableError
from segue.settings import Home
from serving.store import model_store
from tests.rollout.conftest import AT
from workloads.operating.decisions import decisions


@pytest.fixture
def home(tmp_path, store) -> Home:
    """A home in which 1 is stable and 2 the candidate, without a roll-out."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    store().rename(home.models)
    return home


def labels(home: Home) -> dict[str, int]:
    """The labels of the ranking model."""
    return model_store.labels(home.models)["ranking"]


def test_without_a_roll_out_the_labels_move(home):
    assert promote(home, None, "stable", "good", "ann", AT)["versions"] == {"ranking": 2, "retrieval": 2}
    assert labels(home) == {"stable": 2, "canary": 2}
    assert roll_back(home, "bad", "ann", AT + timedelta(hours=1))["label"] == "stable"
    assert labels(home) == {"stable": 1, "canary": 1}
    assert [each["why"] for each in decisions(home)] == ["bad", "good"]


@pytest.mark.parametrize("version", [None, 2])
def test_the_candidate_of_a_roll_out_is_promoted_by_it(home, version):
    start(home.models, None, Plan(shadow=0.0), "ann", AT)
    promote(home, version, "stable", "good", "bob", AT)
    state = read(home.models)
    assert (state.rollout.phase, state.last.by, state.last.reason) == ("promoted", "bob", "good")
    assert labels(home) == {"stable": 2, "canary": 2}


@pytest.mark.parametrize(("version", "label"), [(1, "stable"), (1, "canary")])
def test_other_versions_wait_for_the_end_of_a_roll_out(home, version, label):
    start(home.models, None, Plan(shadow=0.0), "ann", AT)
    with pytest.raises(InputError, match="Roll-out 1 compares ranking 2, retrieval 2 with what is stable"):
        promote(home, version, label, "", "ann", AT)
    promote(home, 1, "mine", "", "ann", AT)
    assert labels(home) == {"stable": 1, "canary": 2, "mine": 1}


def test_a_rollback_ends_a_roll_out_and_a_second_one_moves_stable(home, source):
    model_store.push(home.models, {"ranking": source, "retrieval": source})
    start(home.models, 2, Plan(shadow=0.0), "ann", AT)
    record = roll_back(home, "", "bob", AT)
    assert (record["label"], record["versions"]) == ("canary", {"ranking": 3, "retrieval": 3})
    state = read(home.models)
    assert (state.rollout.phase, state.rollout.share, state.last.reason) == ("draining", 0.0, "Nobody said why.")
    assert labels(home) == {"stable": 3, "canary": 3, "draining": 2}

    assert roll_back(home, "", "bob", AT)["label"] == "stable"
    assert labels(home)["stable"] == labels(home)["canary"] == 1
    settle(home.models, AT + DRAIN)
    assert labels(home) == {"stable": 1, "canary": 1}


@pytest.mark.parametrize("seconds", [5, 3600])
def test_a_move_after_the_way_back_stays(home, source, seconds):
    start(home.models, None, Plan(shadow=0.0), "ann", AT)
    roll_back(home, "", "bob", AT)
    later = AT + timedelta(seconds=seconds)
    promote(home, 2, "stable", "good after all", "bob", later)
    model_store.push(home.models, {"ranking": source, "retrieval": source}, label="canary")
    settle(home.models, later)
    assert (labels(home)["stable"], labels(home)["canary"]) == (2, 3)
    assert settle(home.models, later + DRAIN).rollout.phase == "taken back"
    assert labels(home) == {"stable": 2, "canary": 3}


def test_a_way_back_that_was_cut_off_comes_before_the_next_move(home):
    start(home.models, None, Plan(shadow=0.0), "ann", AT)
    back = Decision("take back", "bad")
    moves.change(home.models, lambda state: moves.decided(state, back, "ann", AT, model_store.labels(home.models)))
    promote(home, 2, "stable", "good after all", "bob", AT + DRAIN)
    settle(home.models, AT + 2 * DRAIN)
    assert labels(home) == {"stable": 2, "canary": 2}
    assert [each["action"] for each in decisions(home)] == ["promote", "take back", "start"]


def test_a_promotion_that_another_decision_overtakes_says_so(home):
    start(home.models, None, Plan(shadow=0.0), "ann", AT)

    def abort(before, after, current):
        if read(home.models).rollout.phase == "promoting":
            moves.act(home.models, Decision("take back", "bad"), "bob", AT)

    with pytest.raises(UnavailableError, match="Roll-out 1 is draining: another decision came meanwhile"):
        promote(home, 2, "stable", "good", "ann", AT, abort)
    assert labels(home) == {"stable": 1, "canary": 1, "draining": 2}
