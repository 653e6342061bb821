"""Metrics of the server, in the text format of Prometheus and under TF Serving's names.

They are written here because Prometheus' client library appends `_total` to the names of counters. TF Serving does not,
and dashboards use its names. The format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import bisect
import threading
from collections.abc import Iterator, Sequence

# The upper bounds of TF Serving's buckets, for times in microseconds and for numbers of examples.
LATENCY_BUCKETS = tuple(10 * 1.8**n for n in range(33))
COUNT_BUCKETS = tuple(float(2**n) for n in range(15))


class Counter:
    """A number that only grows, kept for each combination of label values. Safe to call from many threads.

    Args:
        name: TF Serving's path, e.g. `/tensorflow/serving/request_count`.
        help: the help text, a sentence.
        labels: the names of the labels.
    """

    type_name = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self.name = name.replace("/", ":")
        self.help = help
        self._labels = tuple(labels)
        self._lock = threading.Lock()
        self._values: dict[tuple[str, ...], float] = {}

    def inc(self, *values: str, by: float = 1) -> None:
        """Add `by` to the number of these label values."""
        with self._lock:
            self._values[values] = self._values.get(values, 0) + by

    def samples(self) -> list[tuple[tuple[str, ...], float]]:
        """The label values with their number, sorted."""
        with self._lock:
            return sorted(self._values.items())

    def lines(self) -> Iterator[str]:
        """The samples as lines of text."""
        for values, number in self.samples():
            yield f"{self.name}{_labelled(self._labels, values)} {_number(number)}"


class Histogram:
    """Counts of observations by bucket, kept for each combination of label values. Safe to call from many threads.

    Args:
        name: TF Serving's path.
        help: the help text, a sentence with the unit.
        labels: the names of the labels.
        buckets: the upper bounds of the buckets, ascending; a last bucket without a bound is added.
    """

    type_name = "histogram"

    def __init__(self, name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = ()) -> None:
        self.name = name.replace("/", ":")
        self.help = help
        self._labels = tuple(labels)
        self.bounds = tuple(buckets)
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *values: str) -> None:
        """Add one observation."""
        bucket = bisect.bisect_left(self.bounds, value)
        with self._lock:
            counts = self._counts.get(values)
            if counts is None:
                counts = self._counts[values] = [0] * (len(self.bounds) + 1)
            counts[bucket] += 1
            self._sums[values] = self._sums.get(values, 0.0) + value

    def samples(self) -> list[tuple[tuple[str, ...], list[int], float]]:
        """The label values with the count of each bucket, the last of which has no bound, and the sum; sorted."""
        with self._lock:
            return sorted((values, list(counts), self._sums[values]) for values, counts in self._counts.items())

    def lines(self) -> Iterator[str]:
        """The samples as lines of text; the counts of the buckets are cumulative, as Prometheus expects."""
        for values, counts, total in self.samples():
            below = 0
            for bound, count in zip((*(f"{bound:g}" for bound in self.bounds), "+Inf"), counts, strict=True):
                below += count
                yield f"{self.name}_bucket{_labelled((*self._labels, 'le'), (*values, bound))} {below}"
            labels = _labelled(self._labels, values)
            yield f"{self.name}_sum{labels} {_number(total)}"
            yield f"{self.name}_count{labels} {below}"


class Metrics:
    """All metrics of one server."""

    def __init__(self) -> None:
        self.requests = Counter("/tensorflow/serving/request_count", "Requests answered.", ("model_name", "status"))
        self.latency = Histogram(
            "/tensorflow/serving/request_latency",
            "Microseconds from a request to its answer.",
            ("model_name", "API", "entrypoint"),
            LATENCY_BUCKETS,
        )
        self.runtime = Histogram(
            "/tensorflow/serving/runtime_latency",
            "Microseconds that a request spent in its model, waiting for its batch included.",
            ("model_name", "API", "runtime"),
            LATENCY_BUCKETS,
        )
        self.examples = Histogram(
            "/tensorflow/serving/request_example_counts",
            "Examples in a Classify, Regress or MultiInference request.",
            ("model",),
            COUNT_BUCKETS,
        )
        self.examples_total = Counter(
            "/tensorflow/serving/request_example_count_total", "Examples in all these requests.", ("model",)
        )
        self.warmup = Histogram(
            "/tensorflow/serving/model_warmup_latency",
            "Microseconds that the warm-up of a version took.",
            ("model_path", "status"),
            LATENCY_BUCKETS,
        )
        self.loads = Counter(
            "/tensorflow/cc/saved_model/load_attempt_count",
            "Attempts to load a version.",
            ("model_path", "status"),
        )
        self.load_latency = Counter(
            "/tensorflow/cc/saved_model/load_latency", "Microseconds spent loading versions.", ("model_path",)
        )
        self.queueing = Histogram(
            "/tensorflow/serving/batching_session/queuing_latency",
            "Microseconds that a request waited for its batch.",
            ("model_name",),
            LATENCY_BUCKETS,
        )
        self.batch_size = Histogram(
            "/tensorflow/serving/batching_session/processed_batch_size",
            "Rows in a batch, padding included.",
            ("model_name",),
            COUNT_BUCKETS,
        )
        self.padding = Histogram(
            "/tensorflow/serving/batching_session/padding_size",
            "Rows added to a batch to reach an allowed size.",
            ("model_name",),
            COUNT_BUCKETS,
        )
        self.rejections = Counter(
            "/tensorflow/serving/batching_session/rejected_count",
            "Requests refused because the batching queue was full.",
            ("model_name",),
        )
        self.logged = Counter(
            "/tensorflow/serving/request_log_count", "Requests written to a request log.", ("model_name", "status_code")
        )

    def render(self) -> str:
        """The text of all metrics, as Prometheus scrapes it."""
        lines = []
        for metric in vars(self).values():
            lines += [
                f"# HELP {metric.name} {metric.help}",
                f"# TYPE {metric.name} {metric.type_name}",
                *metric.lines(),
            ]
        return "\n".join(lines) + "\n"


def _labelled(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels as Prometheus writes them, e.g. `{model_name="ranking"}`; empty without labels."""
    if not names:
        return ""
    escaped = (v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for v in values)
    return "{" + ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True)) + "}"


def _number(value: float) -> str:
    """The shortest text of a number that keeps all its digits."""
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else repr(value)
