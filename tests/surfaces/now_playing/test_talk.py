"""Talk content where it fits the moment: hand-worked offsets."""

import numpy as np
import pytest

from surfaces.now_playing import talk

TYPES = np.array(["music", "music", "podcast", ""])


def test_each_type_gets_nearer_to_its_share():
    # Each of the four items has a quarter of the mass: music .5, podcast .25.
    added = talk.offsets(np.zeros(4), TYPES, {"music": 0.25, "podcast": 0.75})
    assert added.tolist() == pytest.approx([talk.TOWARDS * np.log(0.5)] * 2 + [talk.TOWARDS * np.log(3), 0], rel=1e-6)


def test_a_draw_with_the_fitting_mix_stays():
    added = talk.offsets(np.zeros(3), TYPES[:3], {"music": 2 / 3, "podcast": 1 / 3})
    assert added.tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_type_that_never_fits_is_not_shut_out():
    added = talk.offsets(np.array([0.0, 0.0, 50.0]), TYPES[:3], {"music": 1.0})
    assert added.min() == pytest.approx(talk.TOWARDS * np.log(talk.LEAST_SHARE))
    assert np.abs(added).max() <= talk.MOST


@pytest.mark.parametrize("scores", [np.zeros(4), np.full(4, -np.inf)])
def test_nothing_to_calibrate(scores):
    assert talk.offsets(scores, TYPES, {}).tolist() == [0, 0, 0, 0]
    assert np.isfinite(talk.offsets(scores, TYPES, {"podcast": 1.0})).all()
