"""Sample-ratio mismatch: the arms have not the numbers of units that their shares say, so the comparison is broken.

Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", found one in 6 % of tests.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln
from scipy.stats import chisquare

WEIGHTS = (1, 1000)  # units of an arm that the prior counts as: a lost arm is seen at once, and a small loss at last


def p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the p-value of the chi-square test that units fell into arms by their shares; for one look."""
    total = sum(counts)
    return float(chisquare(counts, [total * share for share in shares]).pvalue) if total else 1.0


def sequential_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return a p-value that may be looked at after every unit: 1 over the mean Bayes factor of other shares.

    The priors are Dirichlet distributions centred on the planned shares (Lindon and Malek 2022, "Anytime-Valid
    Inference for Multinomial Count Data"). A wide one finds an arm that lost everybody within some 15 units, where a
    narrow one needs hundreds; the narrow one finds a loss of 5 %. A mean of Bayes factors is one, too.
    """
    observed = np.asarray(counts)
    log_factors = []
    for weight in WEIGHTS:
        prior = weight * len(counts) * np.asarray(shares)
        log_factors.append(
            gammaln(prior.sum())
            - gammaln(prior.sum() + observed.sum())
            + (gammaln(prior + observed) - gammaln(prior)).sum()
            - (observed * np.log(shares)).sum()
        )
    return min(1.0, float(np.exp(-np.logaddexp.reduce(log_factors) + math.log(len(WEIGHTS)))))
