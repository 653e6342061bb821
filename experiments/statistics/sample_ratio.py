"""Sample-ratio mismatch: the arms have not the numbers of units that their shares say, so the comparison is broken.

Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", found one in 6 % of tests.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln
from scipy.stats import chisquare


def p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the p-value of the chi-square test that units fell into arms by their shares; for one look."""
    total = sum(counts)
    return float(chisquare(counts, [total * share for share in shares]).pvalue) if total else 1.0


def sequential_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return a p-value that may be looked at after every unit: 1 over the Bayes factor of other shares.

    The mixture is a Dirichlet distribution centred on the planned shares, with the weight of 1,000 units for each arm
    (Lindon and Malek 2022, "Anytime-Valid Inference for Multinomial Count Data").
    """
    weights = 1000 * len(counts) * np.asarray(shares)
    observed = np.asarray(counts)
    log_factor = (
        gammaln(weights.sum())
        - gammaln(weights.sum() + observed.sum())
        + (gammaln(weights + observed) - gammaln(weights)).sum()
        - (observed * np.log(shares)).sum()
    )
    return min(1.0, math.exp(min(0.0, -float(log_factor))))
