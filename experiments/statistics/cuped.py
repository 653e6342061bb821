"""CUPED: take out of a metric what the same listener's days before the experiment explain.

Deng, Xu, Kohavi and Walker 2013, "Improving the Sensitivity of Online Controlled Experiments by Utilizing
Pre-Experiment Data". For ratios the covariate is a ratio as well, and both are linearized (Deng, Knoblich and Lu 2018,
section 5). The expected effect is unchanged, because assignment is independent of the days before.
"""

import numpy as np

from experiments.statistics.effects import Effect, Estimate, Sums, effect, estimate, linearized, ratio


def adjusted_effect(control: Sums, treatment: Sums) -> tuple[Effect, float]:
    """Return the effect after CUPED, and the share of the variance of the difference that it removed.

    The coefficient is that of both arms together. Nothing is removed without sums from before, if they do not vary, or
    if an arm has fewer than two units.
    """
    plain = effect(control, treatment)
    total = control + treatment
    few = min(plain.control.units, plain.treatment.units) < 2
    if few or total.before_numerator is None or total.before_denominator is None:
        return plain, 0.0
    before = linearized(total.before_numerator, total.before_denominator)
    if not before.any():
        return plain, 0.0
    theta = float(np.cov(linearized(total.numerator, total.denominator), before)[0, 1] / before.var(ddof=1))
    centre = ratio(total.before_numerator, total.before_denominator)
    result = Effect(adjusted(control, theta, centre), adjusted(treatment, theta, centre))
    return result, 1 - (result.error / plain.error) ** 2 if plain.error else 0.0


def adjusted(sums: Sums, theta: float, centre: float) -> Estimate:
    """Return the estimate of an arm without `theta` times its covariate's distance from the `centre`."""
    assert sums.before_numerator is not None
    assert sums.before_denominator is not None
    before = linearized(sums.before_numerator, sums.before_denominator)
    plain = estimate(sums)
    residuals = linearized(sums.numerator, sums.denominator) - theta * before
    shift = theta * (ratio(sums.before_numerator, sums.before_denominator) - centre)
    return Estimate(plain.value - shift, float(residuals.var(ddof=1) / plain.units), plain.units)


def imbalance(control: Sums, treatment: Sums) -> float:
    """Return the p-value of no difference before the experiment; 1 without sums from before."""
    if control.before_numerator is None or treatment.before_numerator is None:
        return 1.0
    assert control.before_denominator is not None
    assert treatment.before_denominator is not None
    before = effect(
        Sums(control.before_numerator, control.before_denominator),
        Sums(treatment.before_numerator, treatment.before_denominator),
    )
    return before.p
