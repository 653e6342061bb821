"""Group-sequential bounds: several looks at growing data, with one risk of a false alarm in all.

Alpha is spent by the share of the planned information at each look (Lan and DeMets 1983), so neither the number nor the
times of the looks need to be kept. Bounds and power come from the recursive numerical integration of Armitage,
McPherson and Rowe 1969 (Jennison and Turnbull 2000, chapter 19), here by Gauss-Legendre panels.

The walk is Brownian: at share t of the information the statistic is z sqrt(t), with variance t and mean `drift` t.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from segue.errors import InputError

Spend = Callable[[float, float], float]  # (share of the information, alpha) -> alpha spent so far, one-sided
FAR = 8.0  # standard deviations; what lies beyond has a chance of 6e-16
NODES, WEIGHTS = np.polynomial.legendre.leggauss(8)  # of one panel
LEAST_STEP = 1e-3  # share of the information; a look that adds less spends nothing


def obrien_fleming(t: float, alpha: float) -> float:
    """Lan and DeMets 1983: close to O'Brien and Fleming's bounds, which spend almost nothing early."""
    return float(2 * norm.sf(norm.isf(alpha / 2) / math.sqrt(t)))


def pocock(t: float, alpha: float) -> float:
    """Lan and DeMets 1983: close to Pocock's bounds, which are nearly equal at all looks."""
    return alpha * math.log(1 + (math.e - 1) * t)


SPENDING: dict[str, Spend] = {"obrien_fleming": obrien_fleming, "pocock": pocock}


def power_family(exponent: float) -> Spend:
    """Kim and DeMets 1987: alpha t^exponent."""
    return lambda t, alpha: alpha * t**exponent


def bounds(shares: Sequence[float] | np.ndarray, spend: Spend, alpha: float) -> np.ndarray:
    """Return the upper bounds of z at some looks, `[looks]`.

    A look that adds less than `LEAST_STEP` sees the data of the look before, and has its bound; the first one has
    infinity if there is nothing to spend.

    A two-sided test of level alpha uses them with alpha / 2 on each side.

    Args:
        shares: The shares of the planned information at the looks, rising, in (0, 1].
        spend: The spending function.
        alpha: One-sided risk of a crossing in all.

    Raises:
        InputError: The shares do not rise within (0, 1].
    """
    check_shares(shares)
    limits = np.full(len(shares), math.inf)
    walk = Walk(shares)
    for look, share in enumerate(shares):
        left = spend(share, alpha) - walk.crossed
        if left > 1e-12 and share - walk.share >= LEAST_STEP:
            limits[look] = walk.bound(share, left)
            walk.step(share, limits[look])
        elif look:
            limits[look] = limits[look - 1]
    return limits


def crossing(shares: Sequence[float], limits: Sequence[float], drift: float) -> float:
    """Return the chance that z crosses the upper bounds at one of the looks.

    Args:
        shares: As in `bounds`.
        limits: The upper bounds of z.
        drift: Expected z when all information is there.
    """
    check_shares(shares)
    walk = Walk(shares, drift)
    for share, limit in zip(shares, limits, strict=True):
        if math.isfinite(limit) and share - walk.share >= LEAST_STEP:
            walk.step(share, limit)
    return walk.crossed


def drift_for(power: float, shares: Sequence[float], limits: Sequence[float]) -> float:
    """Return the expected z at the full information with which the bounds are crossed with chance `power`."""
    return float(brentq(lambda drift: crossing(shares, limits, drift) - power, 0.0, 20.0, xtol=1e-6))


class Walk:
    """The walk's density where it has crossed no bound so far, on nodes that carry the weights of the integration.

    Attributes:
        share: Share of the information at the last look.
        crossed: Chance of a crossing so far.
    """

    def __init__(self, shares: Sequence[float] | np.ndarray, drift: float = 0.0) -> None:
        steps = np.diff([0.0, *shares])
        self.panel = math.sqrt(steps[steps >= LEAST_STEP].min(initial=1.0))  # deviation of the smallest step
        self.share, self.crossed, self.drift = 0.0, 0.0, drift
        self.nodes, self.masses = np.zeros(1), np.ones(1)

    def beyond(self, share: float, value: float) -> float:
        """Return the chance that the walk has not crossed before, and is above `value` at `share`."""
        step = share - self.share
        return float(self.masses @ ndtr((self.nodes + self.drift * step - value) / math.sqrt(step)))

    def bound(self, share: float, chance: float) -> float:
        """Return the bound of z at `share` that is crossed with `chance`."""
        scale = math.sqrt(share)
        return float(brentq(lambda z: self.beyond(share, z * scale) - chance, -FAR, FAR + 2, xtol=1e-10))

    def step(self, share: float, limit: float) -> None:
        """Go on to the look at `share`, with the bound `limit` of z."""
        step = share - self.share
        high = limit * math.sqrt(share)
        self.crossed += self.beyond(share, high)
        low = min(self.drift * share - FAR * math.sqrt(share), high - 1e-9)
        edges = np.linspace(low, high, max(2, math.ceil((high - low) / self.panel)) + 1)
        half = np.diff(edges)[:, None] / 2
        nodes = (edges[:-1, None] + half + half * NODES).ravel()
        moves = (nodes[:, None] - self.nodes - self.drift * step) / math.sqrt(step)
        density = np.exp(-0.5 * moves**2) @ self.masses / math.sqrt(2 * math.pi * step)
        self.nodes, self.masses, self.share = nodes, density * (half * WEIGHTS).ravel(), share


def check_shares(shares: Sequence[float] | np.ndarray) -> None:
    """Raise InputError unless the shares of the information rise within (0, 1]."""
    steps = np.diff([0.0, *shares])
    if not len(shares) or (steps[1:] < 0).any() or steps[0] <= 0 or shares[-1] > 1 + 1e-9:
        raise InputError(
            f"Shares of the information rise within (0, 1]. Received {list(shares)}.",
            "Give the share of the planned listeners at each look, in the order of the looks.",
        )
