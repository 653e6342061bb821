"""How likely each candidate is the next play: hand-worked mixtures."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from surfaces.candidates import SourceAnswer, merge
from surfaces.now_playing.next_play import CREATORS, MODELS, SAVED, log_chances
from surfaces.now_playing.state import Action, SessionState
from surfaces.versions import RETRIEVAL, SEQUENCE
from tests.surfaces.catalogues import make_catalogue

NOW = int(datetime(2027, 1, 15, 8, tzinfo=UTC).timestamp())
BEGAN = datetime.fromtimestamp(NOW + 1, UTC)
CATALOGUE = make_catalogue(
    {
        "a1": {"creator_id": "a"},
        "a2": {"creator_id": "a"},
        "b1": {"creator_id": "b"},
        "x1": {},  # of an unknown creator
    },
    popularity={"": {"a1": 2}},
)
ITEMS = ["a1", "a2", "b1", "x1"]


def chances(*history, session=(), scores=(0.0, 0.0, 0.0, 0.0), model=RETRIEVAL, without=()):
    """The chances of `ITEMS`, after a history of "item action [days ago]", oldest first, and a session."""
    steps = [(*step.split(), "0")[:3] for step in history]
    old = [(item, action, NOW - int(days) * 86_400) for item, action, days in steps]
    actions = tuple(Action("", *step.split(), BEGAN + timedelta(seconds=n)) for n, step in enumerate(session))
    newest = [*old, *(action.entry for action in actions)][::-1]
    columns = zip(*newest, strict=True) if newest else ((), (), ())
    features = dict(zip(("history_items", "history_actions", "history_times"), map(list, columns), strict=True))
    answer = SourceAnswer("next", np.array(ITEMS), np.array(scores, np.float32), model)
    playable = np.array([item not in without for item in ITEMS])
    found = log_chances(merge([answer], CATALOGUE), playable, features, SessionState(actions), CATALOGUE, NOW)
    return np.exp(found)


def test_without_a_history_the_models_decide():
    assert chances(scores=np.log([0.1, 0.2, 0.3, 0.4])).tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4], rel=1e-5)


def test_two_models_are_a_weighted_product():
    answers = [
        SourceAnswer("next", np.array(ITEMS), np.array([1, 0, 0, 0], np.float32), SEQUENCE),
        SourceAnswer("retrieval", np.array(ITEMS), np.array([0, 1, 0, 0], np.float32), RETRIEVAL),
    ]
    found = log_chances(merge(answers, CATALOGUE), np.ones(4, bool), {}, SessionState(), CATALOGUE, NOW)
    assert found[:2] - found[2] == pytest.approx([MODELS[SEQUENCE], MODELS[RETRIEVAL]], rel=1e-4)


def test_a_creator_of_the_history_shares_by_plays_of_its_items():
    # Three of four parts of the history are of a (a play, two skips of half), one of b; a1 has 2 + 1 plays, a2 1.
    found = chances("a1 play", "a2 skip", "a2 skip", "b1 like", "x1 play")
    of_a, of_b = CREATORS * 2 / 2.5, CREATORS * 0.5 / 2.5
    even = (1 - CREATORS) / 4
    assert found.tolist() == pytest.approx([even + of_a * 3 / 4, even + of_a / 4, even + of_b, even], rel=1e-5)


def test_what_is_old_counts_less_for_its_creator():
    found = chances("a1 play 30", "b1 play")
    of_a = (found[0] + found[1] - 2 * found[3]) / (found[2] - found[3])
    assert of_a == pytest.approx(np.exp(-1), rel=1e-4)


def test_a_session_in_the_library_goes_on_there():
    # One of the session's two plays was of an added item, so the saved items weigh half of SAVED.
    found = chances("x1 add", "x1 skip", session=("x1 play", "b1 play"))
    plain = chances("x1 like", "x1 skip", session=("x1 play", "b1 play"))
    weight = SAVED / 2
    assert found.tolist() == pytest.approx([*(plain[:3] * (1 - weight)), plain[3] * (1 - weight) + weight], rel=1e-5)


def test_an_item_that_is_added_in_the_session_is_not_the_library():
    assert chances(session=("x1 play", "x1 add")).tolist() == chances(session=("x1 play", "x1 like")).tolist()


def test_what_may_not_play_has_no_chance():
    found = chances("a1 play", without=("a1",))
    assert found[0] == 0
    assert found.sum() == pytest.approx(1, rel=1e-5)
    assert chances("a1 play", without=ITEMS).tolist() == [0, 0, 0, 0]


def test_chances_sum_to_one():
    scores = (3.0, -1.0, 0.0, 40.0)
    assert chances("a1 add", "b1 play", session=("a1 play",), scores=scores).sum() == pytest.approx(1, rel=1e-5)
