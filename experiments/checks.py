"""What a scorecard checks before it is believed, and how success metrics differ between slices of listeners."""

import math
from typing import Any

import numpy as np

from experiments.definition import Definition
from experiments.metrics.sums import UnitSums
from experiments.statistics import sample_ratio
from experiments.statistics.cuped import adjusted_effect, imbalance
from experiments.statistics.effects import effect
from experiments.statistics.multiple import holm
from experiments.statistics.slices import heterogeneity

LEAST_SLICE = 100  # units of an arm in a slice that is shown
MOST_SLICES = 10  # values of a column: those with the most units


def checks(definition: Definition, sums: UnitSums) -> dict[str, float]:
    """Return the p-values of the checks.

    - `sample_ratio`: the arms have the units that their shares say; it may be looked at daily.
    - `exposure_loss`: an arm loses as many exposures as the control.
    - `pre_period`: no success metric differed before the experiment.

    The last two are corrected for the number of comparisons (Bonferroni), and 1 where there is nothing to compare.
    """
    shares = [arm.share for arm in definition.arms]
    others = range(1, len(definition.arms))
    result = {"sample_ratio": sample_ratio.sequential_p_value(sums.counts, shares)}
    if definition.unit == "time_block":
        return result
    arm, lost = sums.lost
    losses = [
        effect(lost.take(arm == 0), lost.take(arm == other)).p
        for other in others
        if min((arm == 0).sum(), (arm == other).sum()) > 1
    ]
    before = [
        imbalance(sums.of(metric, 0), sums.of(metric, other))
        for metric in definition.metrics.success
        if metric in sums.sums
        for other in others
    ]
    for name, p_values in (("exposure_loss", losses), ("pre_period", before)):
        result[name] = min([1.0, *(p * len(p_values) for p in p_values)])
    return result


def sliced(definition: Definition, sums: UnitSums) -> list[dict[str, Any]]:
    """Return the success metrics' effects by slice.

    `p_same` is corrected (Holm 1979) for all slices of all metrics and arms together, because a reader sees them all.
    """
    rows = []
    for metric in definition.metrics.success:
        for column, values in sums.slices.items():
            names, counts = np.unique(values, return_counts=True)
            largest = [str(name) for name in names[np.argsort(-counts)][:MOST_SLICES] if name]
            for arm in range(1, len(sums.arms)):
                effects = {}
                for name in largest:
                    each = [(sums.arm == number) & (values == name) for number in (0, arm)]
                    if metric in sums.sums and min(map(np.count_nonzero, each)) >= LEAST_SLICE:
                        effects[name] = adjusted_effect(*(sums.sums[metric].take(units) for units in each))[0]
                rows += [
                    {
                        "metric": metric,
                        "arm": sums.arms[arm],
                        "column": column,
                        "value": name,
                        "units": effects[name].control.units + effects[name].treatment.units,
                        "difference": effects[name].difference,
                        "lift": None if math.isnan(effects[name].lift) else effects[name].lift,
                        "p_same": p,
                    }
                    for name, p in heterogeneity(effects).items()
                ]
    corrected = holm(np.array([row["p_same"] for row in rows])).tolist()
    return [{**row, "p_same": p} for row, p in zip(rows, corrected, strict=True)]
