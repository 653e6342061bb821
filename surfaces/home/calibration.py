"""Calibration: the page's mix of content types follows the listener and the hour.

Steck, Calibrated recommendations, RecSys 2018: items are chosen one after the other by their relevance minus the
Kullback-Leibler distance of the page's mix to the mix that fits.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

SMOOTHING = 0.01  # share of the fitting mix in the page's, so that a type that is missing has a finite distance
TINY = 1e-300  # for a type that is neither in the mix nor on the page: its gain is 0, whatever it is divided by


def content_mix(
    plays: Mapping[str, float], at_hour: Mapping[str, float], overall: Mapping[str, float], strength: float = 20.0
) -> dict[str, float]:
    """The share of each content type that fits a listener at an hour.

    The listener's own shares, shrunk towards all listeners' while few plays are known, times how much more often than
    on average a type is played at that hour. So a night without podcasts is one for those who like podcasts too.

    Args:
        plays: the listener's plays by content type; empty for a new listener.
        at_hour: plays of all listeners at that hour by content type; empty if there are none.
        overall: plays of all listeners at any hour by content type, at least one above 0.
        strength: number of plays that all listeners' shares count as.

    Returns:
        Shares by content type, for all types of `overall`; their sum is 1.
    """
    types = sorted(overall)
    everyone = np.array([overall[name] for name in types], np.float64)
    everyone /= everyone.sum()
    own = np.array([plays.get(name, 0.0) for name in types]) + strength * everyone
    hour = np.array([at_hour.get(name, 0.0) for name in types]) + strength * everyone
    lift = np.divide(hour / hour.sum(), everyone, out=np.zeros_like(everyone), where=everyone > 0)
    fitting = own * lift
    return dict(zip(types, (fitting / fitting.sum()).tolist(), strict=True))


def distance(mix: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The Kullback-Leibler distance of the mix of chosen items from the mix that fits, `[...]`, in nats.

    Args:
        mix: the share of each content type that fits, `[t]`.
        counts: number of chosen items by content type, not all 0, `[..., t]`.
    """
    shares = counts / counts.sum(axis=-1, keepdims=True)
    smoothed = (1 - SMOOTHING) * shares + SMOOTHING * mix
    wanted = mix > 0
    return (mix[wanted] * np.log(mix[wanted] / smoothed[..., wanted])).sum(axis=-1)


def excess(mix: Sequence[float], counts: Sequence[float]) -> list[float]:
    """What each content type would cost as the type of the next item, `[t]`; the best type costs 0.

    The cost is the distance after the item, above that of the best type, times the number of items. So a choice at the
    end of a page counts as much as at its beginning. Two distances differ only in the terms of the types that they add,
    so no distance is computed as a whole. There are a handful of types, so plain numbers are faster than arrays.

    Args:
        mix: the share of each content type that fits, `[t]`.
        counts: number of items chosen before by content type, `[t]`.
    """
    number, log1p = sum(counts) + 1, math.log1p
    step = (1 - SMOOTHING) / number
    gains = [
        share * log1p(step / (step * count + SMOOTHING * share + TINY))
        for share, count in zip(mix, counts, strict=True)
    ]
    best = max(gains)
    return [number * (best - gain) for gain in gains]
