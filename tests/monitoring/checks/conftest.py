"""Sums of days made by hand: each listener has a number of trials and of successes on each day."""

from collections.abc import Callable

import numpy as np
import pytest

from monitoring.checks.sums import REPLICATES, Sums

Days = Callable[..., Sums]


@pytest.fixture
def days_of() -> Days:
    """Make sums from `{(check, level): (successes, trials)}`, each `[days, listeners]`."""

    def made(measured: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]], seed: int = 0) -> Sums:
        by_listener = np.stack([np.stack(pair, axis=-1) for pair in measured.values()], axis=2).astype(float)
        weights = np.random.default_rng(seed).poisson(1, (REPLICATES, by_listener.shape[1]))
        replicates = np.einsum("rl,dlmc->rdmc", weights, by_listener)
        return Sums(list(measured), by_listener.sum(axis=1), replicates)

    return made
