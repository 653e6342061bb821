"""The mix of content types that fits, and the page's distance from it."""

import numpy as np
import pytest

from surfaces.engine.context import Context
from surfaces.home.calibration import SMOOTHING, content_mix, distance, excess
from surfaces.home.surface import fitting_mix
from surfaces.request import Request
from surfaces.versions import VersionSet
from tests.surfaces.catalogues import make_catalogue
from tests.surfaces.conftest import NOW

OVERALL = {"music": 700, "podcast": 300}


def test_the_distance_by_hand():
    # Half and half is wanted, three of four are music: 0.5 ln(0.5 / 0.7475) + 0.5 ln(0.5 / 0.2525) = 0.1405, where
    # 0.7475 is 0.99 * 0.75 + 0.01 * 0.5.
    assert distance(np.array([0.5, 0.5]), np.array([3.0, 1.0])) == pytest.approx(0.1405, abs=1e-4)
    assert distance(np.array([0.5, 0.5]), np.array([2.0, 2.0])) == pytest.approx(0)
    assert distance(np.array([1.0, 0.0]), np.array([5.0, 0.0])) == pytest.approx(0)


def test_a_missing_type_has_a_finite_distance():
    worst = distance(np.array([0.0, 1.0]), np.array([9.0, 0.0]))
    assert worst == pytest.approx(-np.log(SMOOTHING))


@pytest.mark.parametrize("counts", [[0, 0, 0], [3, 1, 0], [0, 0, 7]])
def test_the_excess_is_the_difference_of_distances(counts):
    mix, counts = np.array([0.6, 0.4, 0.0]), np.array(counts, float)
    after = np.array([distance(mix, counts + step) for step in np.eye(3)]) * (counts.sum() + 1)
    assert excess(mix.tolist(), counts.tolist()) == pytest.approx(after - after.min(), abs=1e-9)


def test_a_new_listener_has_the_mix_of_the_hour():
    mix = content_mix({}, at_hour={"music": 100, "podcast": 900}, overall=OVERALL, strength=0.001)
    assert mix == pytest.approx({"music": 0.1, "podcast": 0.9}, abs=1e-3)


def test_an_hour_like_any_other_leaves_the_listener_as_he_is():
    mix = content_mix({"music": 20, "podcast": 180}, at_hour=OVERALL, overall=OVERALL, strength=0.001)
    assert mix == pytest.approx({"music": 0.1, "podcast": 0.9}, abs=1e-3)


def test_listener_and_hour_by_hand():
    # The listener plays half podcasts. At this hour podcasts are 0.6 of all plays instead of 0.3: twice as many, and
    # music is 0.4 / 0.7 of what it is. So 0.5 * 2 = 1 against 0.5 * 0.571 = 0.286.
    mix = content_mix({"music": 500, "podcast": 500}, {"music": 400, "podcast": 600}, OVERALL, strength=0)
    assert mix["podcast"] == pytest.approx(1 / (1 + 0.5 * 4 / 7))


def test_a_type_that_nobody_plays_has_no_share():
    assert content_mix({"movie": 3}, {}, {"music": 10, "movie": 0})["movie"] == 0


def test_a_skip_is_no_sign_that_a_type_fits():
    catalogue = make_catalogue({"m": {"content_type": "music"}, "p": {"content_type": "podcast"}})

    def podcasts(*actions):
        features = {"history_items": ["p"] * len(actions), "history_actions": list(actions)}
        return fitting_mix(Context(Request("u1", NOW), features, catalogue, VersionSet()))["podcast"]

    assert podcasts("skip", "skip") == podcasts() < podcasts("skip", "play") == podcasts("like")
