"""What a look at a roll-out counts: requests of both cohorts, and what their listeners did."""

from dataclasses import dataclass
from datetime import datetime

from experiments.statistics.effects import Sums


@dataclass(frozen=True)
class Seen:
    """What was seen of a cohort since the roll-out began.

    Args:
        requests: Requests of its listeners since each entered the cohort.
        errors: How many of them failed or were answered by a fallback.
        slow: How many of them took longer than the gateway's limit.
        newest: The instant of its newest request, UTC; None without a request.
        reward: By listener, the reward of the listener's requests and their number, `[n]`.
        skips: By listener, skipped items and started items, `[n]`.
    """

    requests: int
    errors: int
    slow: int
    newest: datetime | None
    reward: Sums
    skips: Sums

    @property
    def listeners(self) -> int:
        """Listeners with a request."""
        return len(self.reward.numerator)


@dataclass(frozen=True)
class Shadowed:
    """What the shadow counted: the same requests, answered by the stable versions and then by the candidate.

    Args:
        requests: Their number.
        errors, slow: As in `Seen`, of the stable versions and of the candidate.
    """

    requests: int = 0
    errors: tuple[int, int] = (0, 0)
    slow: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Look:
    """Both cohorts at one instant, and the shadow before them."""

    control: Seen
    candidate: Seen
    shadow: Shadowed = Shadowed()

    @property
    def requests(self) -> tuple[int, int]:
        """Requests of the control and of the candidate."""
        return self.control.requests, self.candidate.requests

    def quiet(self, since: datetime) -> tuple[str, bool] | None:
        """Return the name of a cohort without a request since an instant, and whether it ever had one.

        None if both had one.
        """
        for name, seen in (("control", self.control), ("candidate", self.candidate)):
            if seen.newest is None or seen.newest < since:
                return name, seen.newest is not None
        return None
