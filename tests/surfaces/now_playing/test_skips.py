"""Skip reaction: how many skips a genre stands at, and how much of its share is left."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from surfaces.now_playing.skips import evidence, react
from surfaces.now_playing.state import Action, SessionState
from tests.surfaces.catalogues import make_catalogue

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
CATALOGUE = make_catalogue({
    "j1": {"genres": ("jazz",), "creator_id": "c1"},
    "j2": {"genres": ("jazz",), "creator_id": "c2"},
    "r1": {"genres": ("rock",), "creator_id": "c3"},
    "jr": {"genres": ("jazz", "rock"), "creator_id": "c1"},
})  # fmt: skip
ROWS = CATALOGUE.rows(["j1", "j2", "r1", "jr"])


def state(*steps, dislikes=()):
    actions = [Action("", *step.split(), START + timedelta(seconds=n)) for n, step in enumerate(steps)]
    return SessionState(tuple(actions), dislikes=dislikes)


def share(scores, items, temperature):
    mass = np.exp(scores / temperature)
    return mass[items].sum() / mass.sum()


@pytest.mark.parametrize(
    ("steps", "jazz"),
    [
        ((), 0.0),
        (("j1 skip",), 1.0),
        (("j1 skip", "j2 skip"), 1.9),  # 1 * 0.9 + 1
        (("j1 skip", "r1 play"), 0.9),
        (("j1 skip", "j2 play"), 0.45),  # 1 * 0.9 * 0.5
        (("j1 skip", "j2 like"), 0.5),  # a like is of what plays already, so nothing fades
        (("j1 play", "j2 skip"), 1.0),
        (("unknown skip",), 0.0),
    ],
)
def test_skips_fade_and_plays_forgive(steps, jazz):
    assert evidence(state(*steps), CATALOGUE)[0].get("jazz", 0.0) == pytest.approx(jazz)


def test_a_creator_is_skipped_too_and_a_dislike_counts_for_two():
    genres, creators = evidence(state("j1 skip", dislikes=("r1",)), CATALOGUE)
    assert (genres, creators) == ({"jazz": 1.0, "rock": 2.0}, {"c1": 1.0, "c3": 2.0})


@pytest.mark.parametrize("scores", [[0.0, 0, 0, 0], [3.0, 2, 0, 1], [0.0, 0, 2, 0], [300.0, 200, 0, -900]])
@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_a_skipped_genre_keeps_its_part_whatever_the_scale(scores, temperature):
    skipped = state("x1 skip")
    catalogue = make_catalogue({"x1": {"genres": ("jazz",)}, "a": {"genres": ("jazz",)}, "b": {"genres": ("rock",)}})
    rows = catalogue.rows(["a", "b"])
    given = np.array(scores[:2], np.float32) * temperature / max(1.0, max(scores) / 3)
    before, after = (
        share(given, [0], temperature),
        share(react(given, skipped, catalogue, rows, temperature), [0], temperature),
    )
    assert after == pytest.approx(0.3**0.5 * before, rel=1e-4)


def test_two_skips_leave_less_than_half_and_one_skip_more():
    scores = np.zeros(4, np.float32)
    before = share(scores, [0, 1, 3], 1.0)
    one, two = (
        share(react(scores, state(*steps), CATALOGUE, ROWS, 1.0), [0, 1, 3], 1.0)
        for steps in (("j1 skip",), ("j1 skip", "j2 skip"))
    )
    assert two < 0.25 * before < one < before


def test_a_skipped_genre_that_is_hardly_ever_drawn_stays_in_the_list():
    scores = np.array([-30.0, -31, 0, -32], np.float32)  # exp(-30 / 0.2) is 0 in float32
    assert np.isfinite(react(scores, state("j1 skip", "j2 skip"), CATALOGUE, ROWS, 0.2)).all()
    scores *= 10  # and exp(-300 / 0.2) in float64
    assert np.isfinite(react(scores, state("j1 skip", "j2 skip"), CATALOGUE, ROWS, 0.2)).all()


def test_a_skip_that_has_faded_away_takes_no_item_out_of_the_list():
    catalogue = make_catalogue({"a": {"genres": ("jazz",)}, "b": {"genres": ("jazz",)}})
    scores = react(np.zeros(2), state("a skip", *["b play"] * 30), catalogue, catalogue.rows(["a", "b"]), 0.2)
    assert scores.tolist() == pytest.approx([0, 0])


def test_if_nothing_else_is_left_the_list_stays_whole():
    catalogue = make_catalogue({"a": {"genres": ("jazz",)}, "b": {"genres": ("jazz",)}})
    scores = react(np.array([1.0, 0.0]), state("a skip"), catalogue, catalogue.rows(["a", "b"]), 1.0)
    assert np.isfinite(scores).all()
    assert scores[0] > scores[1]


def test_what_may_not_play_stays_out():
    scores = react(np.array([-np.inf, 0, 0, 0]), state("j1 skip"), CATALOGUE, ROWS, 1.0)
    assert scores[0] == -np.inf
    assert np.isfinite(scores[1:]).all()


def test_without_skips_nothing_changes():
    scores = np.array([1.0, 2, 3, 4], np.float32)
    assert react(scores, state("j1 play"), CATALOGUE, ROWS, 1.0).tolist() == scores.tolist()
