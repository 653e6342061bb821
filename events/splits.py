"""Train, validation and test by global time, cut once for all models."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from segue.errors import InputError

PARTS = ("train", "validation", "test")
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Split:
    """Three spans of time, UTC, each without its end.

    train `[start, train_end)`, validation `[train_end, validation_end)`, test `[validation_end, end)`.
    """

    start: datetime
    train_end: datetime
    validation_end: datetime
    end: datetime

    def to_dict(self) -> dict[str, str]:
        """The four instants as ISO 8601."""
        return {name: value.isoformat() for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Split":
        """The split that `to_dict` wrote."""
        return cls(**{name: datetime.fromisoformat(text) for name, text in value.items()})


def cut(ts: pa.ChunkedArray, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)) -> Split:
    """Cut the events' times into train, validation and test.

    A boundary is the time of the event at that quantile, so that events of the same instant fall
    on the same side.

    Args:
        ts: times of the events (`schema.TIMESTAMP`), in any order.
        fractions: shares of the events for train, validation and test; they sum to 1.

    Raises:
        InputError: the shares are no shares, or one part would have no event.
    """
    if len(fractions) != 3 or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise InputError(
            f"Fractions are three positive shares that sum to 1. Received {fractions}.",
            "For instance 0.8, 0.1, 0.1.",
        )
    times = np.sort(ts.cast(pa.int64()).to_numpy())  # microseconds
    count = len(times)
    if count < len(PARTS):
        raise InputError(f"A split needs at least three events. Received {count}.", "Import a longer log.")
    cuts = [round(count * share) for share in (fractions[0], fractions[0] + fractions[1])]
    train_end, validation_end = (times[min(max(at, 1), count - 1)] for at in cuts)
    bounds = np.searchsorted(times, [train_end, validation_end])
    sizes = np.diff([0, *bounds, count])
    for part, size in zip(PARTS, sizes, strict=True):
        if size == 0:
            raise InputError(
                f"The {part} part would be empty: too many of the {count} events share the same time.",
                "Import a log whose events are spread over time.",
            )
    instants = pa.array([times[0], train_end, validation_end, times[-1]]).cast(ts.type).to_pylist()
    return Split(instants[0], instants[1], instants[2], instants[3] + TICK)
