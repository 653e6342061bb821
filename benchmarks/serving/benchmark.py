"""Speed of `segue serve` beside the in-process call and a naive peer, in one run.

The client has a process of its own, as it would in production.
"""

import contextlib
import itertools
import logging
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.results import Say, machine, target
from benchmarks.serving import load, sequence, stored_models
from benchmarks.serving.load import Plan
from benchmarks.serving.process import ending, free_port, start, start_server, wait_ready
from benchmarks.serving.stored_models import REQUESTS, inputs, same_top
from segue.errors import SegueError
from serving.protocol import config_files

MODELS = ("retrieval", "ranking")
IN_FLIGHT = (1, 8, 32)
BATCHING = {"max_batch_size": 6400, "num_batch_threads": 1, "batch_timeout_micros": 0, "max_enqueued_batches": 100}
FIGURES = (
    "in_process_rps",
    "naive_rps",
    "server_rps",
    "p50_ms",
    "p99_ms",
    "in_process_p50_ms",
    "overhead_cpu_ms",
    "times_naive",
    "added_p50_ms",
)


@dataclass(frozen=True)
class Cell:
    """The measurement of one contestant, model and number of requests in flight in one round.

    Attributes:
        rps: requests per second.
        p50: median latency in ms.
        p99: 99th percentile of the latency in ms.
        cpu: CPU time per request in ms.
    """

    rps: float
    p50: float
    p99: float
    cpu: float


def run(seconds: float, say: Say, rounds: int = 5) -> dict[str, Any]:
    """Measure all contestants in turns; each figure is the median of the rounds.

    Args:
        seconds: duration of measuring each contestant, model and number in flight, over all rounds together.
        say: prints a line of progress.
        rounds: number of rounds.

    Returns:
        `retrieval` and `ranking`, each with `FIGURES` by requests in flight; `sequence` with the figures of
        `benchmarks.serving.sequence.run` by signature; `targets`, `machine`, `batching`, `seconds`.

    Raises:
        SegueError: the two retrieval models answer differently, a server does not start, or a request fails.
    """
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        say("making the models")
        stored_models.make(base, variants=1)
        with contestants(base) as measure:
            turns = list(itertools.product(range(rounds), MODELS, IN_FLIGHT, measure))
            cells: dict[tuple[str, int, str], list[Cell]] = {}
            for done, (_, model, in_flight, name) in enumerate(turns, start=1):
                cell = measure[name](model, in_flight, seconds / rounds)
                cells.setdefault((model, in_flight, name), []).append(cell)
                say(f"{done}/{len(turns)} {model}, {in_flight} in flight, {name}: {cell.rps:.0f} requests/s")
    figures = {model: report(model, cells) for model in MODELS}
    say("the sequence model")
    sequence_figures = sequence.run(seconds)
    sequence_targets = sequence_figures.pop("targets")
    return {
        **figures,
        "sequence": sequence_figures,
        "targets": targets(figures) | sequence_targets,
        "machine": machine("tensorflow", "grpcio", "numpy"),
        "batching": BATCHING,
        "seconds": seconds,
    }


def report(model: str, cells: dict[tuple[str, int, str], list[Cell]]) -> dict[str, dict[str, float]]:
    """A model's figures by requests in flight, each the median of the rounds.

    Args:
        model: name of the model.
        cells: the measurements of all rounds by model, requests in flight and contestant.
    """

    def figure(name: str, field: str) -> dict[str, float]:
        return {str(n): median(getattr(cell, field) for cell in cells[model, n, name]) for n in IN_FLIGHT}

    def compared(n: int, name: str, other: str, compare: Callable[[Cell, Cell], float]) -> float:
        """The median of comparisons within each round, because a shared machine's speed drifts between rounds."""
        return median(compare(a, b) for a, b in zip(cells[model, n, name], cells[model, n, other], strict=True))

    server_cpu, in_process_cpu = figure("server", "cpu"), figure("in_process", "cpu")
    return {
        **{f"{name}_rps": figure(name, "rps") for name in ("in_process", "naive", "server")},
        "p50_ms": figure("server", "p50"),
        "p99_ms": figure("server", "p99"),
        "in_process_p50_ms": figure("in_process", "p50"),
        "overhead_cpu_ms": {n: server_cpu[n] - in_process_cpu[n] for n in server_cpu},
        "times_naive": {str(n): compared(n, "server", "naive", lambda a, b: a.rps / b.rps) for n in IN_FLIGHT},
        "added_p50_ms": {str(n): compared(n, "server", "in_process", lambda a, b: a.p50 - b.p50) for n in IN_FLIGHT},
    }


def targets(figures: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """The server's targets: throughput and CPU at 32 requests in flight, added latency at one."""
    limits = {}
    for model, times in (("retrieval", 4.0), ("ranking", 3.0)):
        measured = figures[model]
        limits[f"{model}_times_naive"] = target(measured["times_naive"]["32"], at_least=times)
        limits[f"{model}_overhead_cpu_ms"] = target(measured["overhead_cpu_ms"]["32"], at_most=0.6)
        limits[f"{model}_added_p50_ms"] = target(measured["added_p50_ms"]["1"], at_most=1.2)
    return limits


@contextlib.contextmanager
def contestants(base: Path) -> Iterator[dict[str, Callable[[str, int, float], Cell]]]:
    """Run the servers during the body; for each contestant's name, a function that measures it.

    The function takes a model, the number of requests in flight and seconds.
    """
    from serving.server.loader import LoadedModel  # imports TensorFlow

    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # hides a warning about the TF1 loader, used on purpose
    library = LoadedModel(base / "library-0")
    loaded = {model: LoadedModel(base / f"{model}-0") for model in MODELS}
    check_same_answers(loaded["retrieval"], library)
    library.close()
    load_folders = (base / f"load-{i}" for i in itertools.count())
    with contextlib.ExitStack() as stack:
        ports = {"naive": free_port(), "server": free_port()}
        folders = [f"retrieval={base / 'library-0'}", f"ranking={base / 'ranking-0'}"]
        logs = {name: base / f"{name}.log" for name in ports}
        processes = {
            "naive": start(["-m", "benchmarks.serving.naive_peer", str(ports["naive"]), *folders], logs["naive"]),
            "server": start_server(ports["server"], server_flags(base), base, logs["server"]),
        }
        for process in processes.values():
            stack.enter_context(ending(process))
        addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        for name, process in processes.items():
            wait_ready(process, addresses[name], MODELS, logs[name])

        def remote(name: str, model: str, in_flight: int, seconds: float) -> Cell:
            plan = Plan(addresses[name], processes[name].pid, (model,), in_flight, seconds, read=False)
            result = load.run(plan, next(load_folders))
            if result.failures:
                raise SegueError(
                    f"All requests to {name} must be answered. These failed: {result.failures}.",
                    f"Read its log, {logs[name]}.",
                )
            cpu = result.cpu_seconds / len(result.rows) * 1e3
            return Cell(result.rps, result.percentile_ms(50), result.percentile_ms(99), cpu)

        yield {
            "in_process": lambda model, in_flight, seconds: in_process(loaded[model], model, in_flight, seconds),
            "naive": lambda *cell: remote("naive", *cell),
            "server": lambda *cell: remote("server", *cell),
        }
    for model in loaded.values():
        model.close()


def server_flags(base: Path) -> list[str]:
    """Write the model store and the server's configuration files; the flags that name the files."""
    for model in MODELS:
        (base / "store" / model).mkdir(parents=True)
        (base / "store" / model / "1").symlink_to(base / f"{model}-0")
    models = base / "models.config"
    # Labels at the start would need --allow_version_labels_for_unavailable_models, so the models have none.
    unlabelled: dict[str, dict[str, int]] = {model: {} for model in MODELS}
    versions = {model: [1] for model in MODELS}
    models.write_text(config_files.render_config(unlabelled, str(base / "store"), versions))
    return [f"--model_config_file={models}", *batching_flags(base)]


def batching_flags(base: Path) -> list[str]:
    """Write the batching parameters `BATCHING` to the folder `base`; the flags that switch batching on with them."""
    path = base / "batching.config"
    path.write_text("\n".join(f"{name} {{ value: {value} }}" for name, value in BATCHING.items()))
    return ["--enable_batching", f"--batching_parameters_file={path}"]


def check_same_answers(ours: Any, theirs: Any) -> None:
    """Check that two loaded retrieval models find the same candidates.

    Raises:
        SegueError: they find different candidates.
    """
    for index in range(REQUESTS):
        values = inputs("retrieval", index)
        if not same_top(answer(ours, values), answer(theirs, values)):
            raise SegueError(
                f"Segue's and the library's search must find the same candidates. Request {index} has two answers.",
                "Fix one of the two models in benchmarks/serving/stored_models.py.",
            )


def answer(model: Any, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a `LoadedModel`'s `serving_default` and name its outputs."""
    signature = model.signatures["serving_default"]
    arrays = model.run(signature.feeds, [values[name] for name in signature.inputs], signature.fetches)
    return dict(zip(signature.outputs, arrays, strict=True))


def in_process(model: Any, name: str, threads: int, seconds: float) -> Cell:
    """Measure `LoadedModel.run`, one request per call, from as many threads as there would be requests in flight."""
    signature = model.signatures["serving_default"]
    requests = [[inputs(name, index)[key] for key in signature.inputs] for index in range(REQUESTS)]
    for values in requests:
        model.run(signature.feeds, values, signature.fetches)

    def loop(first: int) -> list[float]:
        times: list[float] = []
        for index in itertools.count(first):
            began = time.perf_counter()
            if began >= until:
                return times
            model.run(signature.feeds, requests[index % REQUESTS], signature.fetches)
            times.append(time.perf_counter() - began)
        raise AssertionError("count has no end")

    with ThreadPoolExecutor(threads) as pool:
        cpu, began = own_cpu_seconds(), time.perf_counter()
        until = began + seconds
        times = np.concatenate(list(pool.map(loop, range(threads))))
        elapsed, used = time.perf_counter() - began, own_cpu_seconds() - cpu
    p50, p99 = np.percentile(times, (50, 99)) * 1e3
    return Cell(len(times) / elapsed, float(p50), float(p99), used / len(times) * 1e3)


def own_cpu_seconds() -> float:
    """User and system CPU time of this process, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
