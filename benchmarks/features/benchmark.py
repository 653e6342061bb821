"""Time and memory from raw events to the point-in-time training set: Segue beside plain pandas, in one run.

Each contestant runs in a process of its own, so that its peak memory is its own. Imports and the
making of the log are not timed. The two training sets are compared value by value.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.data_sets import FRACTIONS, write_world
from benchmarks.results import machine, peak_memory_mb, target
from benchmarks.subprocesses import run_module
from events.splits import SPANS
from segue.files import read_json, write_json

CONTESTANTS = ("segue", "pandas")
ROWS = 100_000  # rows of a table that are compared at once


def run(size: str, seed: int = 0) -> dict:
    """Make a synthetic log, run both contestants on it and compare their training sets.

    Args:
        size: size of the synthetic world: `nano`, `small` or `large`.
        seed: seed of the world.

    Returns:
        `events` and `examples` (their numbers); for each contestant `features_seconds`, `join_seconds`,
        `total_seconds`, `events_per_second` and `peak_memory_mb` (MiB); `speedup` (pandas' seconds over Segue's),
        `memory_ratio` (Segue's peak over pandas'), `equal_values`, `different_columns`, `targets`, `machine`.

    Raises:
        SegueError: a contestant failed.
    """
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        make_log(base, size, seed)
        rows = pq.read_metadata(base / "ingested" / "events.parquet").num_rows
        results = {name: contest(name, base) for name in CONTESTANTS}
        different = different_columns(*(base / name for name in CONTESTANTS))
        examples = sum(pq.read_metadata(base / "segue" / f"{part}.parquet").num_rows for part in SPANS)
    for result in results.values():
        result["total_seconds"] = result["features_seconds"] + result["join_seconds"]
        result["events_per_second"] = rows / result["total_seconds"]
    ours, peer = (results[name] for name in CONTESTANTS)
    speedup = peer["total_seconds"] / ours["total_seconds"]
    memory_ratio = ours["peak_memory_mb"] / peer["peak_memory_mb"]
    return {
        "events": rows,
        "examples": examples,
        **results,
        "speedup": speedup,
        "memory_ratio": memory_ratio,
        "equal_values": not different,
        "different_columns": different,
        "targets": targets(size, len(different), speedup, memory_ratio),
        "machine": machine("duckdb", "pandas", "feast"),
    }


def targets(size: str, different: int, speedup: float, memory_ratio: float) -> dict:
    """The targets of a run: equal values, and on the world `large` no more time and memory than pandas.

    On smaller worlds the fixed costs of DuckDB and Feast outweigh the work, so speed and memory have no target there.
    """
    limits = {"different_columns": target(different, at_most=0)}
    if size == "large":
        limits["speedup"] = target(speedup, at_least=1.0)
        limits["memory_ratio"] = target(memory_ratio, at_most=1.0)
    return limits


def make_log(base: Path, size: str, seed: int) -> None:
    """Write an ingested synthetic log to `base/ingested`, in a process of its own."""
    run_module("benchmarks.features.benchmark", "log", base, size, seed)


def contest(name: str, base: Path) -> dict:
    """Run one contestant in a process of its own and return its figures."""
    out = base / name
    out.mkdir()
    run_module("benchmarks.features.benchmark", name, base, cwd=out)
    return read_json(base / f"{name}.json")


def write_log(base: Path, size: str, seed: int) -> None:
    """Generate a synthetic world and ingest its log to `base/ingested`."""
    from events.ingest import ingest

    ingest(write_world(size, base, seed), base / "ingested", FRACTIONS)


def run_segue(base: Path, out: Path) -> tuple[float, float]:
    """Make the training set with Segue; seconds of computing features, and of Feast's join with writing."""
    from events.ingest import read_split
    from feature_repo.build import build
    from feature_repo.feast_store import apply
    from feature_repo.training import write_training_set
    from segue.settings import Home

    home = Home(base / "home")
    started = time.perf_counter()
    tables = base / "tables"
    build(base / "ingested", tables)
    built = time.perf_counter()
    write_training_set(base / "ingested", apply(home, tables), read_split(base / "ingested"), out)
    return built - started, time.perf_counter() - built


def run_pandas(base: Path, out: Path) -> tuple[float, float]:
    """Make the training set with pandas; seconds of computing features, and of the join with writing."""
    from benchmarks.features import pandas_peer
    from events.ingest import read_split

    started = time.perf_counter()
    events = pandas_peer.read_events(base / "ingested")
    features = pandas_peer.features(base / "ingested", events)
    built = time.perf_counter()
    pandas_peer.write(pandas_peer.training_set(events, features), read_split(base / "ingested"), out)
    return built - started, time.perf_counter() - built


def different_columns(left: Path, right: Path) -> list[str]:
    """Columns that differ between two training sets, or that only one of them has."""
    different: set[str] = set()
    for part in SPANS:
        files = [pq.ParquetFile(folder / f"{part}.parquet") for folder in (left, right)]
        names = [set(file.schema_arrow.names) for file in files]
        different |= names[0] ^ names[1]
        columns = sorted(names[0] & names[1])
        for pair in zip(*(slabs(file, columns) for file in files), strict=True):
            different |= {name for name in columns if not same(pair[0][name], pair[1][name])}
    return sorted(different)


def slabs(file: pq.ParquetFile, columns: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of a file in tables of 100,000 rows, whatever the file's row groups are."""
    pending: list[pa.RecordBatch] = []
    rows = 0
    for batch in file.iter_batches(ROWS, columns=columns):
        while rows + batch.num_rows >= ROWS:
            head = batch.slice(0, ROWS - rows)
            yield pa.Table.from_batches([*pending, head])
            batch, pending, rows = batch.slice(ROWS - rows), [], 0
        pending.append(batch)
        rows += batch.num_rows
    if rows:
        yield pa.Table.from_batches(pending)


def same(left: pa.ChunkedArray, right: pa.ChunkedArray) -> bool:
    """Whether two columns have equal values.

    Floats may differ by the rounding of single precision; lists are compared entry by entry.
    """
    left, right = plain(left), plain(right)
    if len(left) != len(right) or not left.is_null().equals(right.is_null()):
        return False
    if pa.types.is_list(left.type) or pa.types.is_large_list(left.type):
        lengths = [pc.list_value_length(side).cast(pa.int64()) for side in (left, right)]
        ours, theirs = (pa.chunked_array([pc.list_flatten(side)]) for side in (left, right))
        return lengths[0].equals(lengths[1]) and same(ours, theirs)
    if pa.types.is_floating(left.type) or pa.types.is_floating(right.type):
        ours, theirs = (np.asarray(side.cast(pa.float64()).fill_null(0)) for side in (left, right))
        return bool(np.allclose(ours, theirs, rtol=1e-4, atol=1e-5))
    return left.equals(right.cast(left.type))


def plain(column: pa.ChunkedArray) -> pa.Array:
    """Join a column's chunks and decode dictionaries; NaN becomes null."""
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    return values


def main(task: str, base: Path, *rest: str) -> None:
    """Do a child process's task: `log` makes the log, a contestant's name runs the contestant."""
    if task == "log":
        write_log(base, rest[0], int(rest[1]))
        return
    features_seconds, join_seconds = {"segue": run_segue, "pandas": run_pandas}[task](base, base / task)
    figures = {
        "features_seconds": features_seconds,
        "join_seconds": join_seconds,
        "peak_memory_mb": peak_memory_mb(),
    }
    write_json(base / f"{task}.json", figures)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
