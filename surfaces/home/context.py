"""The context of a Home page: who asks, when, and what mix of content types fits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from segue.errors import InputError
from surfaces.request import NO_EXPLORATION, Exploration

# The features of a context by which the layout policy tells one page from another, in the order of `features`.
CONTEXT_FEATURES = ("hour_sine", "hour_cosine", "weekend", "experience")
FULL_EXPERIENCE = 500  # plays after which a listener counts as wholly known


@dataclass(frozen=True)
class HomeContext:
    """One listener's request for a Home page.

    Args:
        user_id: the listener.
        at: the instant of the request, with its time zone.
        hour: the hour of the day, 0 to 23: the listener's own where it is known, else in UTC.
        content_mix: the share of each content type that fits the listener at this hour; the sum is 1
            (`calibration.content_mix`).
        plays: number of plays of the listener that are known.
        exploration: how much of the page may go to uncertain items.

    Raises:
        InputError: the hour, the mix or the plays break their rule.
    """

    user_id: str
    at: datetime
    hour: int
    content_mix: Mapping[str, float]
    plays: int = 0
    exploration: Exploration = NO_EXPLORATION

    def __post_init__(self) -> None:
        if not 0 <= self.hour <= 23:
            raise InputError(f"An hour lies from 0 to 23. Received {self.hour}.", "Give the hour of the request.")
        if self.plays < 0:
            raise InputError(f"A number of plays is at least 0. Received {self.plays}.", "Give 0 for a new listener.")
        shares = self.content_mix.values()
        if not self.content_mix or min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
            raise InputError(
                f"The shares of a content mix are at least 0, and their sum is 1. Received {dict(self.content_mix)}.",
                "Make it by `surfaces.home.calibration.content_mix`.",
            )

    @property
    def features(self) -> np.ndarray:
        """The context for the layout policy, `[4]`.

        `hour_sine` and `hour_cosine` place the hour on a circle, so that 23 is next to 0. `weekend` is 1 on Saturday
        and Sunday. `experience` grows from 0 for a new listener to 1 at 500 plays.
        """
        angle = 2 * math.pi * self.hour / 24
        experience = min(1.0, math.log1p(self.plays) / math.log1p(FULL_EXPERIENCE))
        return np.array([math.sin(angle), math.cos(angle), float(self.at.weekday() >= 5), experience])
