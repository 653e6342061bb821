"""How much an example weighs by its age, so that models follow listeners whose tastes change."""

from dataclasses import dataclass

import numpy as np

DAY = 86_400  # seconds


@dataclass(frozen=True)
class Recency:
    """How much examples weigh: 1 at the end of the train span, and half as much with each half-life before it.

    For example, with a half-life of 14 days an example of four weeks before the end weighs a quarter.

    Attributes:
        end: the end of the train span, seconds since 1970 UTC. Later examples, on which models are judged, weigh 1.
        half_life_days: 0 gives all examples the same weight.
    """

    end: float
    half_life_days: float

    def weights(self, ts: np.ndarray) -> np.ndarray:
        """The weights of examples at `ts` `[n]` (seconds since 1970 UTC), float32 `[n]`, from 0 to 1."""
        if not self.half_life_days:
            return np.ones(len(ts), np.float32)
        age = np.maximum(self.end - ts, 0) / DAY
        return np.exp2(-age / self.half_life_days).astype(np.float32)


EVEN = Recency(end=0.0, half_life_days=0.0)  # all examples weigh 1
