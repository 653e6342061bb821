"""Simulated listeners of an A/B test: sums for each listener and day, and the true effect."""

from dataclasses import dataclass

import numpy as np

from benchmarks.experiments.log import LISTENER_SD, PAGE, PLAY
from experiments.statistics.effects import Sums

ACTIVITY_SHAPE, VISITS = 2.0, 0.5  # gamma shape of a listener's activity, and mean requests on a day


@dataclass(frozen=True)
class Trial:
    """The listeners of one test.

    Attributes:
        treated: Whether a listener is in the treatment, `[n]`.
        shown, played: Impressions and plays up to the end of each day, `[n, days]`.
        shown_before, played_before: Impressions and plays of the days before the test, `[n]`.
    """

    treated: np.ndarray
    shown: np.ndarray
    played: np.ndarray
    shown_before: np.ndarray
    played_before: np.ndarray

    def at(self, day: int) -> tuple[Sums, Sums]:
        """The sums of both arms at the end of a day, of the listeners who were shown something by then."""
        seen = self.shown[:, day] > 0
        arms = []
        for arm in (~self.treated, self.treated):
            units = seen & arm
            arms.append(
                Sums(
                    self.played[units, day], self.shown[units, day], self.played_before[units], self.shown_before[units]
                )
            )
        return arms[0], arms[1]


def trial(listeners: int, days: int, lift: float, rng: np.random.Generator) -> Trial:
    """Return a test with its planted effect.

    Args:
        listeners: Number of listeners.
        days: Days of the test; as many days before it are known.
        lift: Added to the logit of a play in the treatment.
        rng: Draws everything.
    """
    taste = PLAY + rng.normal(0, LISTENER_SD, listeners)
    activity = rng.gamma(ACTIVITY_SHAPE, VISITS / ACTIVITY_SHAPE, listeners)
    treated = rng.random(listeners) < 0.5
    shown = PAGE * rng.poisson(activity[:, None], (listeners, days))
    played = rng.binomial(shown, sigmoid(taste + lift * treated)[:, None])
    before = PAGE * rng.poisson(activity * days)
    return Trial(
        treated,
        shown.cumsum(axis=1).astype(float),
        played.cumsum(axis=1).astype(float),
        before.astype(float),
        rng.binomial(before, sigmoid(taste)).astype(float),
    )


def true_difference(lift: float) -> float:
    """Return the true difference in play rate, by Gauss-Hermite quadrature over listeners."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    taste = PLAY + LISTENER_SD * nodes
    return float(weights @ (sigmoid(taste + lift) - sigmoid(taste)) / weights.sum())


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1 / (1 + np.exp(-logit))
