"""The gateway's metrics, in the text format of Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from serving.server.metrics import Counter, Histogram
from surfaces.cohorts.counts import CohortCounts
from surfaces.engine.stage import Trace

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.35, 0.6, 1.0, 2.0, 5.0)


@dataclass(frozen=True)
class Reading:
    """A number that another part counts, read when the metrics are; with `label`, a number for each of its values."""

    name: str
    type_name: str
    help: str
    read: Callable[[], float | Mapping[str, float]]
    label: str = ""

    def lines(self) -> Iterator[str]:
        """The samples as lines of text."""
        numbers = self.read()
        if not isinstance(numbers, Mapping):
            yield f"{self.name} {numbers}"
            return
        for value, number in numbers.items():
            yield f'{self.name}{{{self.label}="{value}"}} {number}'


class GatewayMetrics:
    """All metrics of one gateway."""

    def __init__(self) -> None:
        self.requests = Counter("segue_gateway_requests_total", "Requests answered.", ("endpoint", "status"))
        self.latency = Histogram(
            "segue_gateway_request_seconds", "Seconds from a request to its answer.", ("endpoint",), SECONDS
        )
        self.stages = Counter(
            "segue_gateway_stages_total",
            "Stages by how they ended: ok, off, late or failed.",
            ("surface", "stage", "outcome"),
        )
        self.stage_seconds = Histogram(
            "segue_gateway_stage_seconds", "Seconds of a stage of a request.", ("surface", "stage"), SECONDS
        )
        self.levels = Counter(
            "segue_gateway_answers_total",
            "Answers by degradation: 0 whole, 1 without ranking, 2 the listener's last page, 3 popular items.",
            ("surface", "level"),
        )
        self.effects = Counter(
            "segue_gateway_effects_total", "Side effects after the answer, by how they ended.", ("effect", "outcome")
        )
        self.cohorts = CohortCounts()
        self.readings: list[Reading] = []

    def observe(self, surface: str, trace: Trace) -> None:
        """Count the stages of one request."""
        for stage, outcome in trace.outcomes.items():
            self.stages.inc(surface, stage, outcome)
        for stage, seconds in trace.seconds.items():
            self.stage_seconds.observe(seconds, surface, stage)

    def text(self) -> str:
        """The metrics as Prometheus reads them."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        metrics: tuple[Counter | Histogram | Reading | CohortCounts, ...] = (
            self.requests, self.latency, self.stages, self.stage_seconds, self.levels, self.effects, self.cohorts,
            *self.readings,
        )  # fmt: skip
        for metric in metrics:
            yield f"# HELP {metric.name} {metric.help}"
            yield f"# TYPE {metric.name} {metric.type_name}"
            yield from metric.lines()
