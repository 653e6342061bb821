"""What the operator's page stands on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

# Answers the address of a page of another server, and starts that server if need be; None while it starts.
Open = Callable[[], str | None]


class Operations(Protocol):
    """What the page reads of a home and does to it. Dictionaries are JSON types, as commands print them.

    Every method raises InputError for a name that is not there, and UnavailableError for what may work later.
    """

    def overview(self) -> dict[str, Any]:
        """Data, runs, gates, labels, drift, experiments, and the training that was started here."""

    def run(self, name: str) -> dict[str, Any]:
        """A run."""

    def run_report(self, name: str, report: str) -> Path:
        """The file of a run's report: `evaluation`, `log` or `drift`."""

    def model(self, name: str) -> dict[str, Any]:
        """A model with its versions."""

    def monitoring(self) -> dict[str, Any]:
        """The loop over time: reports of windows, the last decision, and what happened."""

    def drift(self) -> dict[str, Any]:
        """The last drift verdict."""

    def drift_page(self) -> Path:
        """Evidently's page of the last comparison."""

    def scorecard(self, name: str) -> str:
        """The newest scorecard of an experiment, HTML."""

    def promote(self, version: int | None, why: str) -> dict[str, Any]:
        """Make a version stable; None stands for the canary. Returns the recorded decision."""

    def roll_back(self, why: str) -> dict[str, Any]:
        """Take the candidate back, or make the version before stable. Returns the recorded decision."""

    def train(self, why: str) -> None:
        """Start a training run. Called from a thread that stays."""


@dataclass(frozen=True)
class Operator:
    """The operator's page of a home.

    Args:
        operations: read the home and change it.
        links: name -> opens another server's pages.
    """

    operations: Operations
    links: Mapping[str, Open] = field(default_factory=dict)
