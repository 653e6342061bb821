"""Chips as wishes, and wishes as offsets of scores."""

from datetime import date

import numpy as np
import pytest

from segue.errors import InputError
from surfaces.now_playing.chips import STRENGTH, wishes_of
from surfaces.now_playing.moods import MOODS
from surfaces.now_playing.state import Chip
from surfaces.now_playing.wishes import Wishes, offsets, total
from tests.surfaces.catalogues import make_catalogue

CATALOGUE = make_catalogue(
    {
        "a": {"genres": ("jazz", "ambient"), "creator_id": "c1", "release": "1994-05-01"},
        "b": {"genres": ("metal",), "creator_id": "c1", "release": "2004-05-01"},
        "c": {"genres": ("jazz",), "creator_id": "c2", "content_type": "podcast"},
    },
    popularity={"": {"a": 100.0, "b": 1.0}},
    similar={"a": {"b": 0.4, "c": 0.1}},
)
ROWS = CATALOGUE.rows(["a", "b", "c", "unknown"])


def added(*chips):
    return offsets(total([wishes_of(Chip(*chip), CATALOGUE) for chip in chips]), CATALOGUE, ROWS)


@pytest.mark.parametrize(
    ("chip", "expected"),
    [
        (("genre", "jazz"), [STRENGTH, 0, STRENGTH, 0]),
        (("content_type", "podcast"), [0, 0, STRENGTH, 0]),
        (("era", "90s"), [STRENGTH, 0, 0, 0]),
        (("era", "1990s"), [STRENGTH, 0, 0, 0]),
        (("era", "2004"), [0, STRENGTH, 0, 0]),
        (("era", "1990-2004"), [STRENGTH, STRENGTH, 0, 0]),
        (("mood", "calm"), [STRENGTH, -STRENGTH, 0, 0]),  # ambient 1, metal -1
    ],
)
def test_what_a_chip_adds(chip, expected):
    assert added(chip).tolist() == pytest.approx(expected)


def test_the_20s_are_those_of_this_century_and_the_30s_of_the_last():
    days = {value: wishes_of(Chip("era", value), CATALOGUE).eras[0][0] for value in ("20s", "30s")}
    years = {value: date.fromordinal(day + date(1970, 1, 1).toordinal()).year for value, day in days.items()}
    assert years == {"20s": 2020, "30s": 1930}


def test_more_like_this_wishes_its_genres_its_creator_and_its_neighbours():
    like = added(("more_like_this", "a"))
    # b has the creator (0.7) and is the nearest neighbour (3.5). c has one of the two genres (1.05) and is a quarter as
    # near (0.875).
    assert like.tolist() == pytest.approx([2.8, 4.2, 1.925, 0.0])


def test_something_new_prefers_rare_and_new_items_that_were_not_heard():
    wished = wishes_of(Chip("something_new"), CATALOGUE)
    assert wished.unheard
    assert added(("something_new",))[1] > added(("something_new",))[0]


def test_chips_add_up():
    both = added(("genre", "jazz"), ("content_type", "podcast"))
    assert both.tolist() == [STRENGTH, 0, 2 * STRENGTH, 0]
    assert total([]) == Wishes()


@pytest.mark.parametrize(
    ("chip", "rule"),
    [
        (("colour", "red"), "There is no kind of chip 'colour'"),
        (("genre", "jaz"), "There is no genre 'jaz'"),
        (("content_type", "film"), "There is no content type 'film'"),
        (("mood", "calmm"), "There is no mood 'calmm'"),
        (("mood", "romantic"), None),  # jazz is in the catalogue
        (("mood", "angry"), None),
        (("mood", "road trip"), "A mood needs a genre that the catalogue has"),
        (("era", "long ago"), "An era is like 90s"),
        (("era", "2004-1990"), "An era ends after it begins"),
        (("era", "0000"), "An era ends after it begins"),
        (("more_like_this", "zzz"), "An item of the catalogue is needed"),
    ],
)
def test_a_chip_that_cannot_be_met_is_refused(chip, rule):
    if rule is None:
        assert np.abs(added(chip)).sum() > 0
        return
    with pytest.raises(InputError, match=rule):
        wishes_of(Chip(*chip), CATALOGUE)


def test_moods_ask_for_shares_of_a_chip():
    for mood in MOODS.values():
        assert all(0 < abs(share) <= 1 for share in (*mood.genres.values(), *mood.types.values()))
