"""Recalibration by two scalars a head."""

import numpy as np
import pytest

from models.ranking.calibration import IDENTITY, fit_platt, sigmoid


def drawn(rows: int, slope: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that come true with the probability of `slope * logit + offset`."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=rows)
    return logits, (rng.random(rows) < sigmoid(slope * logits + offset)).astype(np.float32)


@pytest.mark.parametrize(
    ("slope", "offset"),
    [
        pytest.param(1.0, 0.0, id="calibrated"),
        pytest.param(0.4, 0.0, id="overconfident"),
        pytest.param(2.5, 0.0, id="too timid"),
        pytest.param(1.0, -2.0, id="too high"),
        pytest.param(0.5, 1.5, id="overconfident and too low"),
    ],
)
def test_what_distorted_the_logits_is_found(slope, offset):
    assert fit_platt(*drawn(50_000, slope, offset)) == pytest.approx((slope, offset), abs=0.06)


def test_probabilities_come_true_on_average():
    # Up to the smoothing of the targets: one label in some hundreds.
    logits, labels = drawn(3000, 0.3, -1.0)
    slope, offset = fit_platt(logits, labels)
    assert sigmoid(slope * logits + offset).mean() == pytest.approx(labels.mean(), abs=1e-3)
    assert abs(sigmoid(logits).mean() - labels.mean()) > 0.1


@pytest.mark.parametrize(
    ("positives", "negatives", "known"),
    [(99, 1000, False), (1000, 99, False), (100, 100, True), (0, 0, False)],
)
def test_a_hundred_of_either_kind_are_needed(positives, negatives, known):
    labels = np.repeat([1.0, 0.0], [positives, negatives])
    logits = np.random.default_rng(0).normal(labels)
    assert (fit_platt(logits, labels) != IDENTITY) is known


@pytest.mark.parametrize("shift", [0.0, 40.0, -40.0])
def test_far_off_logits_are_brought_back(shift):
    logits, labels = drawn(5000, 1.0, 0.0)
    slope, offset = fit_platt(logits + shift, labels)
    expected = fit_platt(logits, labels)
    assert (slope, offset + slope * shift) == pytest.approx(expected, abs=1e-3)


def test_perfect_separation_stays_finite():
    logits = np.repeat([-1.0, 1.0], 200)
    slope, offset = fit_platt(logits, (logits > 0).astype(np.float64))
    # Platt's targets: 201 / 202 above and 1 / 202 below, so the logit at 1 is log 201.
    assert (slope, offset) == pytest.approx((np.log(201), 0.0), abs=1e-4)


def test_the_order_is_never_turned_around():
    logits, labels = drawn(5000, 1.0, 0.0)
    assert fit_platt(-logits, labels) == IDENTITY


def test_logits_that_do_not_vary_are_left_alone():
    assert fit_platt(np.zeros(1000), np.repeat([0.0, 1.0], 500)) == IDENTITY
