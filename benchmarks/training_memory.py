"""Peak memory of training retrieval as the log, the batch and the catalogue grow.

A training run encodes its examples to disk and holds a few shards of them, so its memory depends on the model,
the batch and the catalogue, not on the length of the log. The benchmark changes one of three sizes at a time:
days of the log, rows of a batch, items of the catalogue. Each run has a process of its own, so that its peak is
its own. One epoch is enough to reach the peak.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.data_sets import make_training_set, write_world
from benchmarks.results import machine, peak_memory_mb, target
from benchmarks.subprocesses import run_module
from segue.files import read_json, write_json

LIMIT_MB = 6 * 1024
KEPT = (
    "validation.parquet", "test.parquet", "items_at_validation.parquet", "items_at_test.parquet", "items_now.parquet",
    "negatives.parquet", "manifest.json",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """The sizes of one training run.

    Attributes:
        days: training examples are taken from the last `days` of the log.
        batch_size: rows of a training step.
        items: items in the world's catalogue.
    """

    days: int
    batch_size: int
    items: int


def plan(days: Sequence[int], batch_sizes: Sequence[int], catalogues: Sequence[int]) -> list[Run]:
    """List the runs: every length of log, then every other batch size and catalogue at the longest log."""
    base = Run(days[-1], batch_sizes[0], catalogues[-1])
    return [
        *(replace(base, days=n) for n in days),
        *(replace(base, batch_size=n) for n in batch_sizes[1:]),
        *(replace(base, items=n) for n in catalogues[:-1]),
    ]


def run(
    size: str = "large",
    seed: int = 0,
    days: Sequence[int] = (20, 40, 60),
    batch_sizes: Sequence[int] = (1024, 4096),
    catalogues: Sequence[int] = (10_000, 40_000),
) -> dict:
    """Train retrieval for one epoch per run, and report each run's peak resident memory.

    Args:
        size: size of the synthetic world: `nano`, `small` or `large`.
        seed: seed of the worlds and the trainings.
        days: lengths of the log, ascending; the last is the length of the whole log.
        batch_sizes: batch sizes; all runs that vary another size have the first.
        catalogues: numbers of items, ascending; all runs that vary another size have the last.

    Returns:
        `runs` (each with `days`, `batch_size`, `items`, `examples`, `peak_memory_mb`, `seconds`); `peak_memory_mb`
        (the highest of all, MiB), its limit `limit_mb` and whether the limit `holds`; `memory_growth` and
        `examples_growth` (peak and examples at the longest log over those at the shortest); `targets`; `machine`.

    Raises:
        SegueError: a run failed.
    """
    runs = plan(days, batch_sizes, catalogues)
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        for items in dict.fromkeys(run.items for run in runs):
            run_module("benchmarks.training_memory", "world", base / str(items), size, items, seed)
        measured = [{**asdict(run), **measure(base, run, size, seed)} for run in runs]
    shortest, longest = measured[0], measured[len(days) - 1]
    peak = max(figures["peak_memory_mb"] for figures in measured)
    return {
        "runs": measured,
        "peak_memory_mb": peak,
        "limit_mb": LIMIT_MB,
        "holds": peak <= LIMIT_MB,
        "memory_growth": longest["peak_memory_mb"] / shortest["peak_memory_mb"],
        "examples_growth": longest["examples"] / shortest["examples"],
        "targets": {"peak_memory_mb": target(peak, at_most=LIMIT_MB)},
        "machine": machine("tensorflow", "pyarrow", "numpy"),
    }


def measure(base: Path, run: Run, size: str, seed: int) -> dict:
    """Cut the training set of a run's world to the run's days, train on it, and return the figures."""
    out = base / "run"
    run_module("benchmarks.training_memory", "cut", base / str(run.items), size, run.days, out)
    run_module("benchmarks.training_memory", "train", out, run.batch_size, seed)
    figures = read_json(out / "figures.json")
    shutil.rmtree(out)
    return figures


def make_world(base: Path, size: str, items: int, seed: int) -> None:
    """Make a synthetic world and write its training set to `base/training_set`."""
    make_training_set(write_world(size, base, seed, items), base)


def cut(base: Path, size: str, days: int, out: Path) -> None:
    """Copy a world's training set, keeping only the training examples of the log's last days."""
    from events.importers.synthetic import sized
    from events.world.config import FIRST_DAY
    from models.inputs.shards import read_parquet

    source, target = base / "training_set", out / "training_set"
    target.mkdir(parents=True)
    for name in KEPT:
        shutil.copyfile(source / name, target / name)
    since = pa.scalar(datetime.combine(FIRST_DAY, time(), UTC) + timedelta(days=sized(size).days - days))
    schema = pq.read_schema(source / "train.parquet")
    with pq.ParquetWriter(target / "train.parquet", schema, compression="zstd", use_dictionary=False) as writer:
        for table in read_parquet(source / "train.parquet"):
            writer.write_table(table.filter(pc.greater_equal(table["ts"], since)))


def train(out: Path, batch_size: int, seed: int) -> None:
    """Train for one epoch on `out/training_set` and write the figures to `out/figures.json`."""
    from time import perf_counter

    from models.training_config import RetrievalConfig, TrainingConfig
    from workloads.training.train_retrieval import train_retrieval
    from workloads.training_set import write_vocabularies

    config = TrainingConfig(seed=seed, retrieval=RetrievalConfig(epochs=1, batch_size=batch_size))
    write_vocabularies(out / "training_set")  # the cut training examples have fewer tokens
    started = perf_counter()
    train_retrieval(out / "training_set", "benchmark", config, out / "saved_model")
    seconds = perf_counter() - started
    figures = {
        "examples": pq.read_metadata(out / "training_set" / "train.parquet").num_rows,
        "peak_memory_mb": peak_memory_mb(),
        "seconds": seconds,
    }
    write_json(out / "figures.json", figures)


def main(task: str, *rest: str) -> None:
    """Do a child process's task: make a `world`, `cut` its training set, or `train`."""
    folder = Path(rest[0])
    if task == "world":
        make_world(folder, rest[1], int(rest[2]), int(rest[3]))
    elif task == "cut":
        cut(folder, rest[1], int(rest[2]), Path(rest[3]))
    elif task == "train":
        train(folder, int(rest[1]), int(rest[2]))


if __name__ == "__main__":
    main(*sys.argv[1:])
