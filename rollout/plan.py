"""The plan of a roll-out: its stages, the data that each needs, and the risks of its decisions."""

from dataclasses import asdict, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from segue.yaml_settings import AtLeast1, Number, Positive, build, read_settings

FORBID = ConfigDict(extra="forbid")
Metric = Literal["reward", "skips"]
METRICS: tuple[Metric, ...] = ("reward", "skips")  # those that are compared by listener
Probability = Annotated[Positive, Field(lt=1)]


def nested(stages: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse stages that do not rise, or leave no room for a control cohort of the same size."""
    if not stages or any(later <= earlier for earlier, later in pairwise(stages)) or stages[-1] > 0.5:
        raise PydanticCustomError("stages", "Input should be a list of rising shares of the listeners, at most 0.5")
    return stages


def margins_of_all(margins: dict[Metric, float]) -> dict[Metric, float]:
    """Refuse margins that leave a metric out."""
    if set(margins) != set(METRICS):
        raise PydanticCustomError("margins", f"Input should be a margin for each of {', '.join(METRICS)}")
    return margins


@dataclass(frozen=True, config=FORBID)
class Plan:
    """How a roll-out goes.

    Args:
        shadow: Share of the requests that are also sent to the candidate before a listener sees it; 0 for no shadow.
        shadow_requests: Requests of the shadow, before the first stage begins.
        stages: Shares of the listeners that see the candidate, before the promotion gives it to all. Each has a control
            cohort of the same size, so the largest is 0.5.
        stage_hours: Hours that a stage lasts at least. A cohort without a request for as long has no data.
        least_requests: Requests of each cohort since a stage began, before it may end.
        least_listeners: Listeners of each cohort, before they are compared.
        loss: Share of the reward of all listeners that the next stage may put at risk: a stage goes on until a loss of
            its cohort's reward that would cost more is excluded.
        harm_alpha: Risk of taking back a candidate that is no worse, over all metrics and looks.
        alpha: Risk of promoting a candidate that is worse by a margin.
        power: Chance that the evidence for an equal candidate is complete when the planned information is there.
        margins: The accepted harm by metric, relative to the control's value.
    """

    shadow: Annotated[Number, Field(ge=0, le=1)] = 0.25
    shadow_requests: AtLeast1 = 100
    stages: Annotated[tuple[Probability, ...], AfterValidator(nested)] = (0.01, 0.05, 0.25, 0.5)
    stage_hours: Positive = 24.0
    least_requests: AtLeast1 = 20
    least_listeners: Annotated[AtLeast1, Field(ge=2)] = 30
    loss: Probability = 0.05
    harm_alpha: Probability = 0.02
    alpha: Annotated[Probability, Field(lt=0.5)] = 0.05
    power: Probability = 0.9
    margins: Annotated[dict[Metric, Probability], AfterValidator(margins_of_all)] = field(
        default_factory=lambda: {"reward": 0.05, "skips": 0.05}
    )

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON types."""
        return asdict(self)  # type: ignore[call-overload]


def read(path: Path) -> Plan:
    """Return the plan in a YAML file.

    Raises:
        InputError: The file cannot be read, or a setting is unknown or out of range.
    """
    return build(Plan, read_settings(path), "")
