"""Whether an effect differs between slices of listeners, with a correction for their number.

Each slice is tested against the effect in all other listeners, Holm-corrected; Cochran 1954's Q tests all at once. A
slice only explains a result: the verdict never rests on one, because the slices were not what the experiment was
planned for.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, norm

from experiments.statistics.effects import Effect
from experiments.statistics.multiple import holm


@dataclass(frozen=True)
class Slice:
    """A slice's effect, and the corrected p-value that it is the same as in the other listeners."""

    effect: Effect
    p: float


def heterogeneity(effects: Mapping[str, Effect]) -> tuple[dict[str, Slice], float]:
    """Return each slice with its corrected p-value, and the p-value that all slices have the same effect.

    Args:
        effects: The effect by slice; the slices share no unit. One that does not vary is left out.
    """
    kept = {name: effect for name, effect in effects.items() if effect.error > 0}
    if len(kept) < 2:
        return {name: Slice(effect, 1.0) for name, effect in kept.items()}, 1.0
    differences = np.array([effect.difference for effect in kept.values()])
    weights = np.array([effect.error**-2 for effect in kept.values()])
    others = weights.sum() - weights
    rest = ((weights * differences).sum() - weights * differences) / others
    z = (differences - rest) / np.sqrt(1 / weights + 1 / others)
    corrected = holm(2 * norm.sf(np.abs(z)))
    pooled = (weights * differences).sum() / weights.sum()
    q = (weights * (differences - pooled) ** 2).sum()
    slices = {name: Slice(effect, float(p)) for (name, effect), p in zip(kept.items(), corrected, strict=True)}
    return slices, float(chi2.sf(q, len(kept) - 1))
