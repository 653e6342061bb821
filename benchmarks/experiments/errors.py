"""Errors, power, coverage and the reduction of variance, on many simulated tests with daily looks."""

import math
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from benchmarks.experiments.listeners import Trial, trial, true_difference
from experiments.statistics import always_valid, sample_ratio, sample_size, sequential
from experiments.statistics.cuped import adjusted_effect
from experiments.statistics.effects import effect, linearized, ratio

LISTENERS, DAYS, ALPHA, POWER = 2000, 14, 0.05, 0.8
SHARES = tuple((day + 1) / DAYS for day in range(DAYS))
FIXED = float(norm.isf(ALPHA / 2))
PILOT = 40_000  # listeners from whom the variance for the plan is taken
LOSS, SRM_UNITS = 0.05, 30_000  # share of the treatment's listeners that are lost, and listeners of an arm


@cache
def limits() -> dict[str, np.ndarray]:
    """The bounds of the daily looks, by spending function."""
    return {name: sequential.bounds(SHARES, spend, ALPHA / 2) for name, spend in sequential.SPENDING.items()}


def look_by_look(test: Trial) -> dict[str, Any]:
    """Return what each method says of one test after its daily looks."""
    z = np.zeros(DAYS)
    always = np.zeros(DAYS)
    for day in range(DAYS):
        control, treatment = test.at(day)
        result, removed = adjusted_effect(control, treatment)
        z[day] = result.z
        units = len(control.numerator) + len(treatment.numerator)
        always[day] = always_valid.critical(units, ALPHA, LISTENERS)
    plain = effect(control, treatment)
    rows = [(arm.numerator.sum(), arm.denominator.sum()) for arm in (control, treatment)]
    return {
        **{name: bool((np.abs(z) > limit).any()) for name, limit in limits().items()},
        "always_valid": bool((np.abs(z) > always).any()),
        "peeked": bool((np.abs(z) > FIXED).any()),
        "rows": abs(row_z(*rows)) > FIXED,
        "interval": result.interval(FIXED),
        "plain_interval": plain.interval(FIXED),
        "removed": removed,
    }


def row_z(control: tuple[float, float], treatment: tuple[float, float]) -> float:
    """Return z of the test that takes every impression for independent: the wrong one."""
    rates = [plays / shown for plays, shown in (control, treatment)]
    variance = sum(rate * (1 - rate) / shown for rate, (_, shown) in zip(rates, (control, treatment), strict=True))
    return (rates[1] - rates[0]) / math.sqrt(variance)


def trials(tests: int, lift: float, seed: int) -> Iterator[Trial]:
    """Yield tests of simulated listeners with a planted lift, on the logit."""
    rng = np.random.default_rng(seed)
    return (trial(LISTENERS, DAYS, lift, rng) for _ in range(tests))


def found(tests: Iterable[Trial], truth: float) -> dict[str, float]:
    """Return the share of tests that each method finds, coverage of the true difference, and mean reduction."""
    results = [look_by_look(test) for test in tests]
    shares = {
        name: float(np.mean([each[name] for each in results]))
        for name in (*sequential.SPENDING, "always_valid", "peeked", "rows", "removed")
    }
    for name in ("interval", "plain_interval"):
        shares[f"{name}_covers"] = float(np.mean([each[name][0] <= truth <= each[name][1] for each in results]))
    return shares


def planned_lift(seed: int) -> float:
    """Return the planted lift, on the logit, that the plan says is found with a power of 80 %.

    The variance for the plan comes from a pilot of other listeners, as `segue experiment plan` takes it from the log.
    """
    pilot = trial(PILOT, DAYS, 0.0, np.random.default_rng(seed))
    control, treatment = pilot.at(DAYS - 1)
    removed = adjusted_effect(control, treatment)[1]
    everyone = control + treatment
    variance = float(linearized(everyone.numerator, everyone.denominator).var(ddof=1)) * (1 - removed)
    rate = ratio(everyone.numerator, everyone.denominator)
    units = round(LISTENERS * len(everyone.numerator) / PILOT)
    drift = sequential.drift_for(POWER, SHARES, limits()["obrien_fleming"].tolist())

    def gap(lift: float) -> float:
        difference = true_difference(lift)
        variances = (variance, variance * (1 + difference / rate) ** 2)
        return sample_size.expected_z(difference, variances, (0.5, 0.5), units) - drift

    return float(brentq(gap, 1e-4, 2.0))


def sample_ratios(tests: int, seed: int) -> dict[str, float]:
    """Return the share of tests with a loss, and of fair tests, that the sequential check calls broken at 0.001."""
    rng = np.random.default_rng(seed)
    shares = {}
    for name, loss in (("lost", LOSS), ("fair", 0.0)):
        alarms = 0
        for _ in range(tests):
            treated = rng.binomial(2 * SRM_UNITS, 0.5)
            counts = [2 * SRM_UNITS - treated, int(rng.binomial(treated, 1 - loss))]
            alarms += sample_ratio.sequential_p_value(counts, [0.5, 0.5]) < 0.001
        shares[name] = alarms / tests
    return shares


def upper(share: float, tests: int) -> float:
    """Return the upper end of the 95 % interval of a share (Wilson 1927)."""
    return wilson(share, tests, 1)


def lower(share: float, tests: int) -> float:
    """Return the lower end of the 95 % interval of a share (Wilson 1927)."""
    return wilson(share, tests, -1)


def wilson(share: float, tests: int, sign: int) -> float:
    """Return one end of Wilson's interval."""
    centre = share + FIXED**2 / (2 * tests)
    half = FIXED * math.sqrt(share * (1 - share) / tests + FIXED**2 / (4 * tests**2))
    return (centre + sign * half) / (1 + FIXED**2 / tests)
