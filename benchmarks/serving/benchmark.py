"""`segue serve` beside the in-process call and a naive peer, in one run, with the client in its own process."""

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

from benchmarks.serving import load as serving_load
from benchmarks.serving import sequence as serving_sequence
from benchmarks.serving import stored_models as serving_models
from benchmarks.serving.load import Plan
from benchmarks.serving.process import ending, free_port, machine, start, start_server, target, wait_ready
from benchmarks.serving.stored_models import REQUESTS, inputs, same_top
from segue.errors import SegueError
from serving.protocol import config_files as config

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
Say = Callable[[str], Any]


@dataclass(frozen=True)
class Cell:
    """One contestant, one model, one number in flight, one round; times in ms."""

    rps: float
    p50: float
    p99: float
    cpu: float  # a request


def run(seconds: float, say: Say, rounds: int = 5) -> dict[str, Any]:
    """Measure; the contestants take turns, and of the rounds the median counts.

    Args:
        seconds: of measuring for each contestant, model and number in flight, over all rounds.
        say: takes a line of progress.
        rounds: how often each is measured.

    Returns:
        `retrieval` and `ranking`, each with `FIGURES`, each of them by requests in flight; `sequence`, what
        `serving_sequence.run` gives by signature; `targets`, `machine`, `batching`, `seconds`.

    Raises:
        SegueError: the library's search and ours answer differently, a server does not start, or a request fails.
    """
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        say("making the models")
        serving_models.make(base, variants=1)
        with contestants(base) as measure:
            turns = list(itertools.product(range(rounds), MODELS, IN_FLIGHT, measure))
            cells: dict[tuple[str, int, str], list[Cell]] = {}
            for done, (_, model, in_flight, name) in enumerate(turns, start=1):
                cell = measure[name](model, in_flight, seconds / rounds)
                cells.setdefault((model, in_flight, name), []).append(cell)
                say(f"{done}/{len(turns)} {model}, {in_flight} in flight, {name}: {cell.rps:.0f} requests/s")
    figures = {model: report(model, cells) for model in MODELS}
    say("the sequence model")
    sequence = serving_sequence.run(seconds)
    return {
        **figures,
        "sequence": {name: figure for name, figure in sequence.items() if name != "targets"},
        "targets": targets(figures) | sequence["targets"],
        "machine": machine(),
        "batching": BATCHING,
        "seconds": seconds,
    }


def report(model: str, cells: dict[tuple[str, int, str], list[Cell]]) -> dict[str, dict[str, float]]:
    """A model's figures by requests in flight."""

    def figure(name: str, field: str) -> dict[str, float]:
        return {str(n): median(getattr(cell, field) for cell in cells[model, n, name]) for n in IN_FLIGHT}

    def of_rounds(n: int, name: str, other: str, of: Callable[[Cell, Cell], float]) -> float:
        """The median of a comparison within each round: a machine that others use too drifts between rounds."""
        return median(of(a, b) for a, b in zip(cells[model, n, name], cells[model, n, other], strict=True))

    ours, alone = figure("server", "cpu"), figure("in_process", "cpu")
    return {
        **{f"{name}_rps": figure(name, "rps") for name in ("in_process", "naive", "server")},
        "p50_ms": figure("server", "p50"),
        "p99_ms": figure("server", "p99"),
        "in_process_p50_ms": figure("in_process", "p50"),
        "overhead_cpu_ms": {n: ours[n] - alone[n] for n in ours},
        "times_naive": {str(n): of_rounds(n, "server", "naive", lambda a, b: a.rps / b.rps) for n in IN_FLIGHT},
        "added_p50_ms": {str(n): of_rounds(n, "server", "in_process", lambda a, b: a.p50 - b.p50) for n in IN_FLIGHT},
    }


def targets(figures: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """What is asked of the server."""
    found = {}
    for model, times in (("retrieval", 4.0), ("ranking", 3.0)):
        of = figures[model]
        found[f"{model}_times_naive"] = target(of["times_naive"]["32"], least=times)
        found[f"{model}_overhead_cpu_ms"] = target(of["overhead_cpu_ms"]["32"], most=0.6)
        found[f"{model}_added_p50_ms"] = target(of["added_p50_ms"]["1"], most=1.2)
    return found


@contextlib.contextmanager
def contestants(base: Path) -> Iterator[dict[str, Callable[[str, int, float], Cell]]]:
    """name -> how to measure it: a model, requests in flight, seconds; the servers run in the body."""
    from serving.server.loader import LoadedModel  # imports TensorFlow

    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of the TF1 loader, which is our choice
    library = LoadedModel(base / "library-0")
    loaded = {model: LoadedModel(base / f"{model}-0") for model in MODELS}
    check_same_answers(loaded["retrieval"], library)
    library.close()
    out = (base / f"load-{i}" for i in itertools.count())
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
            result = serving_load.run(plan, next(out))
            if result.failures:
                raise SegueError(f"Requests to {name} failed: {result.failures}.", f"Its log is {logs[name]}.")
            cpu = result.cpu_seconds / len(result.rows) * 1e3
            return Cell(result.rps, result.percentile_ms(50), result.percentile_ms(99), cpu)

        yield {
            "in_process": lambda model, in_flight, seconds: in_process(loaded[model], model, in_flight, seconds),
            "naive": lambda *cell: remote("naive", *cell),
            "server": lambda *cell: remote("server", *cell),
        }
    for known in loaded.values():
        known.close()


def server_flags(base: Path) -> list[str]:
    """Write the server's configuration files, and the model store; the flags that name them."""
    for model in MODELS:
        (base / "store" / model).mkdir(parents=True)
        (base / "store" / model / "1").symlink_to(base / f"{model}-0")
    models, batching = base / "models.config", base / "batching.config"
    # No labels: without --allow_version_labels_for_unavailable_models none may be given at the start.
    unlabelled: dict[str, dict[str, int]] = {model: {} for model in MODELS}
    versions = {model: [1] for model in MODELS}
    models.write_text(config.render_config(unlabelled, str(base / "store"), versions))
    batching.write_text("\n".join(f"{name} {{ value: {value} }}" for name, value in BATCHING.items()))
    return [f"--model_config_file={models}", "--enable_batching", f"--batching_parameters_file={batching}"]


def check_same_answers(ours: Any, theirs: Any) -> None:
    """Whether two loaded retrieval models find the same candidates.

    Raises:
        SegueError: they do not.
    """
    for index in range(REQUESTS):
        values = inputs("retrieval", index)
        if not same_top(answer(ours, values), answer(theirs, values)):
            raise SegueError(
                f"Ours and the library's search answer request {index} differently.", "They are not comparable."
            )


def answer(model: Any, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a `LoadedModel`'s `serving_default`."""
    signature = model.signatures["serving_default"]
    arrays = model.run(signature.feeds, [values[name] for name in signature.inputs], signature.fetches)
    return dict(zip(signature.outputs, arrays, strict=True))


def in_process(model: Any, name: str, threads: int, seconds: float) -> Cell:
    """`LoadedModel.run`, one request a call, from as many threads as would be in flight."""
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
    """CPU time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
