"""Recalibration of a head by a slope and an offset."""

import numpy as np
import pytest

from models.ranking.calibration import IDENTITY, fit_platt, sigmoid


def drawn(rows: int, slope: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and labels that are 1 with the probability `sigmoid(slope * logit + offset)`."""
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
def test_slope_and_offset_of_the_labels_are_recovered(slope, offset):
    assert fit_platt(*drawn(50_000, slope, offset)) == pytest.approx((slope, offset), abs=0.06)


def test_the_mean_probability_equals_the_mean_label():
    # The smoothing of the targets makes a difference of less than one label in some hundreds.
    logits, labels = drawn(3000, 0.3, -1.0)
    slope, offset = fit_platt(logits, labels)
    assert sigmoid(slope * logits + offset).mean() == pytest.approx(labels.mean(), abs=1e-3)
    assert abs(sigmoid(logits).mean() - labels.mean()) > 0.1


@pytest.mark.parametrize(
    ("positives", "negatives", "fitted"),
    [(99, 1000, False), (1000, 99, False), (100, 100, True), (0, 0, False)],
)
def test_a_hundred_positives_and_negatives_are_needed(positives, negatives, fitted):
    labels = np.repeat([1.0, 0.0], [positives, negatives])
    logits = np.random.default_rng(0).normal(labels)
    assert (fit_platt(logits, labels) != IDENTITY) is fitted


@pytest.mark.parametrize("shift", [0.0, 40.0, -40.0])
def test_a_constant_shift_of_the_logits_is_corrected(shift):
    logits, labels = drawn(5000, 1.0, 0.0)
    slope, offset = fit_platt(logits + shift, labels)
    expected = fit_platt(logits, labels)
    assert (slope, offset + slope * shift) == pytest.approx(expected, abs=1e-3)


def test_perfect_separation_stays_finite():
    logits = np.repeat([-1.0, 1.0], 200)
    slope, offset = fit_platt(logits, (logits > 0).astype(np.float64))
    # Platt's smoothed targets are 201 / 202 and 1 / 202, so the logit at 1 is log 201.
    assert (slope, offset) == pytest.approx((np.log(201), 0.0), abs=1e-4)


def test_the_order_is_never_reversed():
    logits, labels = drawn(5000, 1.0, 0.0)
    assert fit_platt(-logits, labels) == IDENTITY


def test_constant_logits_are_not_recalibrated():
    assert fit_platt(np.zeros(1000), np.repeat([0.0, 1.0], 500)) == IDENTITY
