"""Split the events by global time into train, validation and test spans, which all models share."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from segue.errors import InputError

SPANS = ("train", "validation", "test")
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Split:
    """Three consecutive spans of time (UTC). Each span excludes its end.

    Train is `[start, train_end)`, validation `[train_end, validation_end)`, test `[validation_end, end)`.
    """

    start: datetime
    train_end: datetime
    validation_end: datetime
    end: datetime

    def to_dict(self) -> dict[str, str]:
        """Return the four instants as ISO 8601 strings."""
        return {name: value.isoformat() for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Split":
        """Return the split that `to_dict` gave."""
        return cls(**{name: datetime.fromisoformat(text) for name, text in value.items()})


def cut(ts: pa.ChunkedArray, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """Return the split of the events into train, validation and test spans.

    A boundary is the time of the event at that quantile, so events of the same instant fall into the same span.

    Args:
        ts: Times of the events (`schema.TIMESTAMP`), in any order.
        fractions: Shares of the events for train, validation and test. They must be positive and sum to 1.

    Raises:
        InputError: The fractions are not positive or do not sum to 1, or a span would have no events.
    """
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise InputError(
            f"Fractions are three positive shares that sum to 1. Received {fractions}.",
            "Give three such shares, for instance 0.8, 0.1, 0.1.",
        )
    times = np.sort(ts.cast(pa.int64()).to_numpy())  # microseconds
    count = len(times)
    if count < len(SPANS):
        raise InputError(f"A split needs at least three events. Received {count}.", "Import a longer log.")
    positions = [round(count * share) for share in (fractions[0], fractions[0] + fractions[1])]
    train_end, validation_end = (times[min(max(position, 1), count - 1)] for position in positions)
    bounds = np.searchsorted(times, [train_end, validation_end])
    sizes = np.diff([0, *bounds, count])
    for part, size in zip(SPANS, sizes, strict=True):
        if size == 0:
            raise InputError(
                f"The {part} span would be empty: too many of the {count} events share the same time.",
                "Import a log whose events are spread over time.",
            )
    instants = pa.array([times[0], train_end, validation_end, times[-1]]).cast(ts.type).to_pylist()
    return Split(instants[0], instants[1], instants[2], instants[3] + TICK)
