"""Whether an effect differs between slices of listeners.

Each slice is tested against the effect in all other listeners; the caller corrects for the number of slices. A slice
only explains a result: the verdict never rests on one, because the slices were not what the experiment was planned for.
"""

from collections.abc import Mapping

import numpy as np
from scipy.stats import norm

from experiments.statistics.effects import Effect


def heterogeneity(effects: Mapping[str, Effect]) -> dict[str, float]:
    """Return for each slice the p-value that its effect is the same as in the other listeners, at a single look.

    Args:
        effects: The effect by slice; the slices share no unit. One that does not vary is left out.
    """
    kept = {name: effect for name, effect in effects.items() if effect.error > 0}
    if len(kept) < 2:
        return dict.fromkeys(kept, 1.0)
    differences = np.array([effect.difference for effect in kept.values()])
    weights = np.array([effect.error**-2 for effect in kept.values()])
    others = weights.sum() - weights
    rest = ((weights * differences).sum() - weights * differences) / others
    z = (differences - rest) / np.sqrt(1 / weights + 1 / others)
    return dict(zip(kept, (2 * norm.sf(np.abs(z))).tolist(), strict=True))
