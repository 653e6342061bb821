"""Look at an experiment: read the log, score, advise, and record the look. Past looks are read without a new one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from experiments.metrics.catalogue import CATALOGUE, METRICS
from experiments.metrics.log import Log
from experiments.metrics.sums import unit_sums
from experiments.registry import Recorded, Registry
from experiments.scorecard import Scorecard, score
from experiments.verdicts import advise


@dataclass(frozen=True)
class Report:
    """An experiment with its newest look.

    Args:
        state: The experiment as recorded.
        card: The newest scorecard as JSON types, with `verdict`, `reason` and `arm`.
    """

    state: Recorded
    card: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types."""
        return {
            "definition": self.state.definition.to_dict(),
            "started": self.state.started.isoformat(),
            "stage": self.state.stage,
            "looks": list(self.state.looks),
            "stop": self.state.stop,
            "scorecard": self.card,
        }


def report(registry: Registry, name: str, log: Log, at: datetime) -> Report:
    """Look at an experiment and record the look; or return the last look of one that ended or has no newer log.

    An experiment has ended if it was stopped, or if an earlier look had all planned information: a further look at the
    same bound would not keep the risk.

    Args:
        registry: The experiments.
        name: The experiment.
        log: The log.
        at: The instant of the look, UTC; rows before it are read.

    Raises:
        InputError: There is no such experiment, or it has no exposed unit.
    """
    state = registry.get(name)
    if state.looks and (state.stop is not None or over(state) or state.looks[-1]["at"] == at.isoformat()):
        return Report(state, state.looks[-1])
    if state.stop is not None:
        at = min(at, datetime.fromisoformat(state.stop["at"]))  # afterwards all listeners were treated alike
    card = look(state, log, at)
    result = {**card.to_dict(), **vars(advise(state.definition, card))}
    if state.stop is None:
        registry.look(name, result, at)
    return Report(registry.get(name), result)


def look(state: Recorded, log: Log, at: datetime) -> Scorecard:
    """Return the scorecard of an experiment at an instant, without recording it."""
    roles = state.definition.metrics.roles()
    quality = [metric.name for metric in METRICS if metric.purpose == "quality" and metric.name not in roles]
    metrics = [CATALOGUE[metric] for metric in [*roles, *quality]]
    return score(
        state.definition, unit_sums(log, state.running, metrics, state.started, at), state.started, at, state.looks
    )


def last_look(registry: Registry, name: str) -> Report | None:
    """Return an experiment with its last look, without taking a new one; None if none was taken.

    `experiments.page.render` makes its page.

    Raises:
        InputError: There is no such experiment.
    """
    state = registry.get(name)
    return Report(state, state.looks[-1]) if state.looks else None


def result(row: Mapping[str, Any]) -> str:
    """Say in a few words what a metric's row of a scorecard shows."""
    if row["margin"] is not None:
        within = f"within {row['margin']:.1%}" if row["non_inferior"] else f"not shown within {row['margin']:.1%}"
        return f"{within}, worse" if row["worse"] and not row["non_inferior"] else within
    return "improved" if row["improved"] else "worse" if row["worse"] else ""


def over(state: Recorded) -> bool:
    """Whether the last look had all planned information and the method spends alpha by it."""
    return state.definition.plan.method == "group_sequential" and state.looks[-1]["information"] >= 1
