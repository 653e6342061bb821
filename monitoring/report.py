"""The report of a monitoring window: what was compared, each check's verdict, and the cause they point to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from segue.verdict import Verdict

Kind = Literal["cause", "drift", "skew", "quality", "guardrail"]
Response = Literal["retrain", "alert"]


@dataclass(frozen=True)
class Check:
    """A check of one window.

    Args:
        name: For example `skip_rate`.
        kind: `cause` finds what changed in the listeners or the catalogue; `drift` compares features, predictions or
            embeddings; `skew` compares what was served with what training computes; `quality` judges predictions by
            outcomes; `guardrail` watches the system.
        response: What a failure asks for: to retrain, or only to alert a person and to hold.
        verdict: Passed if the window is as usual.
        effect: The size of the change, in the unit of `limit`; drawn on the time line. None without enough data.
        limit: The size from which the check fails.
    """

    name: str
    kind: Kind
    response: Response
    verdict: Verdict
    effect: float | None = None
    limit: float | None = None

    def __post_init__(self) -> None:
        for value, allowed in ((self.kind, get_args(Kind)), (self.response, get_args(Response))):
            if value not in allowed:
                raise ValueError(f"a check has one of {', '.join(allowed)}, not {value!r}")


@dataclass(frozen=True)
class Report:
    """What the checks say of a window. `until` names it: a window ends once.

    Args:
        reference: Start and end of the reference window, UTC.
        current: Start and end of the current window, UTC; nothing overlaps.
        checks: All checks, in reading order.
        cause: What changed: `genre`, `catalogue`, `behaviour` or `outage`, or the name of another failed check, such as
            `skew`; None if all is as usual.
        reason: The cause and its figures, in one sentence.
        log: The identity of the log that was checked (`events.dataset.identity`); None in a report of an older version.
    """

    reference: tuple[datetime, datetime]
    current: tuple[datetime, datetime]
    checks: tuple[Check, ...]
    cause: str | None
    reason: str
    log: str | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.verdict.passed)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "reference": [each.isoformat() for each in self.reference],
            "current": [each.isoformat() for each in self.current],
            "cause": self.cause,
            "reason": self.reason,
            "log": self.log,
            "checks": [vars(check) | {"verdict": check.verdict.to_dict()} for check in self.checks],
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "Report":
        """The report that `to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: It lacks a key or has others, as one of another version.
        """
        (start, end), (begin, until) = (map(datetime.fromisoformat, saved[name]) for name in ("reference", "current"))
        checks = tuple(Check(**{**each, "verdict": Verdict.from_dict(each["verdict"])}) for each in saved["checks"])
        return cls((start, end), (begin, until), checks, saved["cause"], saved["reason"], saved.get("log"))
