"""What the training of a simulation was worth: the first and the last models asked for Home in the same moments."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from events.world.day import DAY, HOME
from events.world.live.value import contexts
from events.world.live.world import World
from models.evaluation.metrics import bootstrap_mean
from segue.settings import Home
from workloads.monitoring.refresh import refresh_features
from workloads.simulation.day import instant
from workloads.simulation.rivals.values import Rival, true_values

Quiet = Callable[[], AbstractContextManager]
MOMENTS, SEED = 600, 0


def gain(home: Home, world: World, day: int, rivals: Mapping[str, Rival], quiet: Quiet) -> dict[str, Any]:
    """Compare the last models with the first on Home pages of a day, by the true reward of each page.

    Args:
        home: the home of the simulation, whose data are complete to the start of the day.
        world: the world.
        day: the day after the last one that was simulated.
        rivals: the models of the home, `loop`, and the first ones, `frozen`.
        quiet: a context that holds back what libraries print.

    Returns:
        `pages`; `first` and `last`, the mean true reward of a page by each; `difference` of the last over the first
        with the ends `low` and `high` of its 95 % interval, which resamples listeners.
    """
    with quiet():
        refresh_features(home, instant(day * DAY))
    moments = contexts(world, [day], HOME, MOMENTS, SEED)
    values = true_values(home, world, moments, {"first": rivals["frozen"], "last": rivals["loop"]})
    listeners = np.array([moment.user for moment in moments])
    better = bootstrap_mean(values["last"] - values["first"], listeners, SEED)
    return {
        "pages": len(moments),
        **{name: float(values[name].mean()) for name in ("first", "last")},
        "difference": better.mean,
        "low": better.low,
        "high": better.high,
    }


def gain_sentence(result: Mapping[str, Any]) -> str:
    """Say what the training was worth."""
    return (
        f"The last models against the first in {result['pages']} moments of the next day: "
        f"{result['last']:.3f} instead of {result['first']:.3f} items played through a page, "
        f"{result['difference']:+.3f} ({result['low']:+.3f} to {result['high']:+.3f} at 95 %)."
    )
