"""What the operator's page shows of a home and does to it, by the functions of the command line."""

from collections.abc import Callable
from datetime import datetime
from getpass import getuser
from pathlib import Path
from typing import Any

from experiments.page import render
from experiments.registry import Registry
from experiments.reporting import last_look
from segue.errors import InputError
from segue.files import read_json
from segue.settings import Home
from serving.store import model_store
from workloads.monitoring.timeline import newest, timeline
from workloads.operating.agree import agree
from workloads.operating.decisions import LabelDecisions
from workloads.operating.model_versions import model_detail
from workloads.operating.overview import StateOf, overview
from workloads.operating.run_detail import report_file, run_detail, run_named
from workloads.up.training import Training


class HomeOperations:
    """The `surfaces.operator.operator.Operations` of a home.

    Args:
        home: the home.
        state_of: says how a run is doing.
        training: starts training runs.
        labels: decides on labels.
        clock: the current time, UTC.
    """

    def __init__(
        self, home: Home, state_of: StateOf, training: Training, labels: LabelDecisions, clock: Callable[[], datetime]
    ) -> None:
        self._home = home
        self._state_of = state_of
        self._training = training
        self._labels = labels
        self._clock = clock

    def overview(self) -> dict[str, Any]:
        """The home's overview, the `training` that was started here, and the newest of `monitoring`."""
        return {
            **overview(self._home, self._state_of),
            "training": self._training.state(),
            "monitoring": newest(self._home),
        }

    def run(self, name: str) -> dict[str, Any]:
        """A run."""
        return run_detail(run_named(self._home, name), self._state_of)

    def run_report(self, name: str, report: str) -> Path:
        """The file of a run's report."""
        path = report_file(run_named(self._home, name), report)
        if path is None:
            raise InputError(f"The run {name} has no {report}.", "It may have ended before.")
        return path

    def model(self, name: str) -> dict[str, Any]:
        """A model."""
        return model_detail(self._home, name)

    def monitoring(self) -> dict[str, Any]:
        """The loop over time."""
        return timeline(self._home, self._state_of)

    def drift(self) -> dict[str, Any]:
        """The last drift verdict, and whether its page is there."""
        home = self._home
        saved = read_json(home.drift_verdict) if home.drift_verdict.is_file() else None
        return {"verdict": saved, "page": home.drift_page.is_file()}

    def drift_page(self) -> Path:
        """Evidently's page of the last comparison."""
        if not self._home.drift_page.is_file():
            raise InputError("There is no drift report yet.", "Run `segue run monitoring`.")
        return self._home.drift_page

    def scorecard(self, name: str) -> str:
        """The newest scorecard of an experiment as a page. No look is taken."""
        last = last_look(Registry(self._home.experiments), name)
        if last is None:
            raise InputError(f"Nobody has looked at {name} yet.", f"Run `segue experiment report {name}`.")
        return render(last)

    def promote(self, version: int | None, why: str) -> dict[str, Any]:
        """Make a version stable; without a version, the candidate. The same as `segue models promote`."""
        record = self._labels.promote(self._home, version, model_store.STABLE, why, getuser(), self._clock())
        agree(self._home)  # what MLflow does not take now, the next command sends
        return record

    def roll_back(self, why: str) -> dict[str, Any]:
        """Take the candidate back, or make the version before stable. The same as `segue models rollback`."""
        record = self._labels.roll_back(self._home, why, getuser(), self._clock())
        agree(self._home)
        return record

    def train(self, why: str) -> None:
        """Start `segue run training`."""
        self._training.start(why)
