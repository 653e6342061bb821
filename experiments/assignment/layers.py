"""Layers: experiments of one layer share no bucket; the holdback of a layer is in none of them.

Overlapping experiments stand in different layers, whose salts differ, as in Tang et al. 2010, "Overlapping Experiment
Infrastructure". A parameter belongs to one layer, so no two experiments change it for the same listener.
"""

from collections.abc import Iterable, Sequence

from experiments.assignment.buckets import BUCKETS
from segue.errors import InputError

Range = tuple[int, int]  # first bucket, and the one after the last


def width(share: float) -> int:
    """Return the number of buckets of a share of a layer."""
    return round(share * BUCKETS)


def allot(share: float, holdback: float, taken: Iterable[Range], layer: str) -> tuple[Range, ...]:
    """Return the lowest free buckets of a layer.

    Args:
        share: The experiment's final share of the layer.
        holdback: The share that no experiment of the layer has: its first buckets.
        taken: The buckets of the layer's running experiments.
        layer: The layer's name, for the error.

    Raises:
        InputError: The layer has not so much room.
    """
    wanted = width(share)
    free, ranges = width(holdback), []
    for start, end in [*sorted(taken), (BUCKETS, BUCKETS)]:
        if free < start:
            ranges.append((free, start))
        free = max(free, end)
    room = sum(end - start for start, end in ranges)
    if wanted > room:
        raise InputError(
            f"The experiments and the holdback of a layer have at most 100 % of it. Layer {layer} has "
            f"{room / BUCKETS:.2%} left; the experiment asks for {share:.2%}.",
            "Lower the last share, stop an experiment of the layer, or use another layer.",
        )
    return first(ranges, wanted)


def first(ranges: Sequence[Range], wanted: int) -> tuple[Range, ...]:
    """Return the first buckets of some ranges. A ramp admits more of the same ranges, so its shares are nested."""
    taken: list[Range] = []
    for start, end in ranges:
        end = min(end, start + wanted)
        if end > start:
            taken.append((start, end))
        wanted -= end - start
    return tuple(taken)


def overlapping(parameters: Iterable[str], others: Iterable[str]) -> str | None:
    """Return a parameter that is one of the others, or lies within or above one (`home` and `home.weights`)."""
    names = set(others)
    for parameter in parameters:
        for name in names:
            if parameter == name or parameter.startswith(f"{name}.") or name.startswith(f"{parameter}."):
                return parameter
    return None
