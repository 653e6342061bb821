"""The verdict of a gate: passed or not, why, and the figures beside their limits."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from segue.errors import InputError


@dataclass(frozen=True)
class Verdict:
    """The result of a gate.

    Every gate returns one (data validation, the blessing, infra validation, drift) and saves `to_dict()`, so all gates
    read alike.

    Attributes:
        passed: whether the run may go on; for drift, whether the windows have not drifted.
        reason: why, in one sentence.
        figures: the measurements with their details, as JSON types.
        limits: the values that the figures were compared with.
    """

    passed: bool
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON types: `passed`, `reason`, `figures`, `limits`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "Verdict":
        """The verdict that `to_dict` wrote; other keys are ignored.

        Raises:
            InputError: a key is missing, as in a file of an older version.
        """
        names = [f.name for f in fields(cls)]
        if missing := [name for name in names if name not in saved]:
            raise InputError(
                f"A saved verdict has the keys {', '.join(names)}. It lacks {', '.join(missing)}.",
                "Run the gate again, so that it writes a new one.",
            )
        return cls(**{name: saved[name] for name in names})
