"""Peak memory of training retrieval: what it grows with, and what it does not.

A training run encodes its examples to disk and holds a few shards of them, so that its memory is that
of the model, of a batch and of the catalogue, however long the log is. Here one thing changes at a
time: the days of the log, the batch, the items. Each run has a process of its own, so that its peak is
its own; one epoch reaches it.
"""

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, time, timedelta
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segue.files import read_json, write_json

LIMIT_MB = 6 * 1024
KEPT = (
    "validation.parquet", "test.parquet", "items_at_validation.parquet", "items_at_test.parquet", "items_now.parquet",
    "negatives.parquet", "manifest.json",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        days: of the log's end, from which examples are taken.
        batch_size: rows of a step.
        items: of the world's catalogue.
    """

    days: int
    batch_size: int
    items: int


def plan(days: Sequence[int], batch_sizes: Sequence[int], catalogues: Sequence[int]) -> list[Run]:
    """The runs: all days, then all other batches and catalogues at the longest log."""
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
    """Train retrieval for one epoch a run, and report each run's peak resident memory.

    Args:
        size: of the synthetic world: `nano`, `small`, `large`.
        seed: of the worlds and the trainings.
        days: lengths of the log, growing; the last is the world's whole.
        batch_sizes: the first is the one that all other runs have.
        catalogues: items of the worlds, growing; the last is the one that all other runs have.

    Returns:
        `runs` (each with `days`, `batch_size`, `items`, `examples`, `peak_memory_mb`, `seconds`),
        `peak_memory_mb` (the highest) beside `limit_mb` and whether it `holds`; how many times the
        peak and the examples grow from the shortest to the longest log, `memory_growth` and
        `examples_growth`; `machine`.
    """
    runs = plan(days, batch_sizes, catalogues)
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        for items in dict.fromkeys(run.items for run in runs):
            child("world", base / str(items), size, items, seed)
        done = [{**asdict(run), **measure(base, run, size, seed)} for run in runs]
    shortest, longest = done[0], done[len(days) - 1]
    peak = max(found["peak_memory_mb"] for found in done)
    return {
        "runs": done,
        "peak_memory_mb": peak,
        "limit_mb": LIMIT_MB,
        "holds": peak <= LIMIT_MB,
        "memory_growth": longest["peak_memory_mb"] / shortest["peak_memory_mb"],
        "examples_growth": longest["examples"] / shortest["examples"],
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "pyarrow", "numpy")},
        },
    }


def measure(base: Path, run: Run, size: str, seed: int) -> dict:
    """One run's figures; it has the training set of its world, cut to its days."""
    out = base / "run"
    child("cut", base / str(run.items), size, run.days, out)
    child("train", out, run.batch_size, seed)
    figures = read_json(out / "figures.json")
    shutil.rmtree(out)
    return figures


def child(task: str, *arguments: object) -> None:
    """Do a task in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.training_memory", task, *map(str, arguments)]
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, "TF_USE_LEGACY_KERAS": "1"})


def make_world(base: Path, size: str, items: int, seed: int) -> None:
    """Make a synthetic world and its training set, `base/training_set`."""
    from events.dataset import write
    from events.importers.synthetic import generate, sized
    from events.ingest import ingest
    from feature_repo.build import build
    from workloads.make_training_set import make

    write(base / "data", generate(replace(sized(size), items=items), seed))
    ingest(base / "data", base / "ingested", (0.8, 0.1, 0.1))
    build(base / "ingested", base / "tables")
    make(base / "ingested", base / "tables", base / "training_set")


def cut(base: Path, size: str, days: int, out: Path) -> None:
    """Copy a world's training set, with the training examples of the log's last days alone."""
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
    """Train for an epoch on `out/training_set`, and write `out/figures.json`."""
    from time import perf_counter

    from models.training_config import RetrievalConfig, TrainingConfig
    from workloads.training.train_retrieval import train_retrieval
    from workloads.training_set import write_vocabularies

    config = TrainingConfig(seed=seed, retrieval=RetrievalConfig(epochs=1, batch_size=batch_size))
    write_vocabularies(out / "training_set")  # the training examples were cut
    started = perf_counter()
    train_retrieval(out / "training_set", "benchmark", config, out / "saved_model")
    seconds = perf_counter() - started
    # KiB on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    figures = {
        "examples": pq.read_metadata(out / "training_set" / "train.parquet").num_rows,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20,
        "seconds": seconds,
    }
    write_json(out / "figures.json", figures)


def main(task: str, *rest: str) -> None:
    """What a child process does."""
    folder = Path(rest[0])
    if task == "world":
        make_world(folder, rest[1], int(rest[2]), int(rest[3]))
    elif task == "cut":
        cut(folder, rest[1], int(rest[2]), Path(rest[3]))
    elif task == "train":
        train(folder, int(rest[1]), int(rest[2]))


if __name__ == "__main__":
    main(*sys.argv[1:])
