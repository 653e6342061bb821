"""From raw events to the point-in-time training set: Segue beside plain pandas, in one run.

Each contestant runs in a process of its own, so that its peak memory is its own. Imports and the
making of the log are not timed. The two training sets are compared value by value.
"""

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events.splits import PARTS
from segue.files import read_json, write_json

CONTESTANTS = ("segue", "pandas")
ROWS = 100_000  # compared at once


def run(size: str, seed: int = 0) -> dict:
    """Make a synthetic log, run both contestants on it and compare what they made.

    Args:
        size: of the synthetic world: `nano`, `small`, `large`.
        seed: of the world.

    Returns:
        `events`, `examples`, per contestant `features_seconds`, `join_seconds`, `total_seconds`,
        `events_per_second`, `peak_memory_mb`; `speedup`, `memory_ratio`, `equal_values`,
        `different_columns`, `machine`.
    """
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        make_log(base, size, seed)
        rows = pq.read_metadata(base / "ingested" / "events.parquet").num_rows
        results = {name: contest(name, base) for name in CONTESTANTS}
        different = different_columns(*(base / name for name in CONTESTANTS))
        examples = sum(pq.read_metadata(base / "segue" / f"{part}.parquet").num_rows for part in PARTS)
    for result in results.values():
        result["total_seconds"] = result["features_seconds"] + result["join_seconds"]
        result["events_per_second"] = rows / result["total_seconds"]
    ours, peer = (results[name] for name in CONTESTANTS)
    return {
        "events": rows,
        "examples": examples,
        **results,
        "speedup": peer["total_seconds"] / ours["total_seconds"],
        "memory_ratio": ours["peak_memory_mb"] / peer["peak_memory_mb"],
        "equal_values": not different,
        "different_columns": different,
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("duckdb", "pandas", "feast")},
        },
    }


def make_log(base: Path, size: str, seed: int) -> None:
    """Write an ingested synthetic log to `base/ingested`, in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks.features.benchmark", "log", str(base), size, str(seed)], check=True
    )


def contest(name: str, base: Path) -> dict:
    """Run one contestant in a process of its own."""
    out = base / name
    out.mkdir()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.features.benchmark", name, str(base)], check=True, cwd=out
    )
    return read_json(base / f"{name}.json")


def write_log(base: Path, size: str, seed: int) -> None:
    """Generate, import and ingest a synthetic world."""
    from events.dataset import write
    from events.importers.synthetic import generate, sized
    from events.ingest import ingest

    write(base / "data", generate(sized(size), seed))
    ingest(base / "data", base / "ingested", (0.8, 0.1, 0.1))


def run_segue(base: Path, out: Path) -> tuple[float, float]:
    """Seconds of feature computation, and of Feast's join with writing."""
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
    """Seconds of feature computation, and of the join with writing."""
    from benchmarks.features import pandas_peer as peer
    from events.ingest import read_split

    started = time.perf_counter()
    events = peer.read_events(base / "ingested")
    known = peer.features(base / "ingested", events)
    built = time.perf_counter()
    peer.write(peer.training_set(events, known), read_split(base / "ingested"), out)
    return built - started, time.perf_counter() - built


def different_columns(left: Path, right: Path) -> list[str]:
    """Columns that differ between two training sets, or that only one of them has."""
    found: set[str] = set()
    for part in PARTS:
        files = [pq.ParquetFile(folder / f"{part}.parquet") for folder in (left, right)]
        names = [set(file.schema_arrow.names) for file in files]
        found |= names[0] ^ names[1]
        columns = sorted(names[0] & names[1])
        for pair in zip(*(slabs(file, columns) for file in files), strict=True):
            found |= {name for name in columns if not same(pair[0][name], pair[1][name])}
    return sorted(found)


def slabs(file: pq.ParquetFile, columns: list[str]) -> Iterator[pa.Table]:
    """The rows of a file in tables of 100,000, whatever its row groups."""
    kept: list[pa.RecordBatch] = []
    rows = 0
    for batch in file.iter_batches(ROWS, columns=columns):
        while rows + batch.num_rows >= ROWS:
            head = batch.slice(0, ROWS - rows)
            yield pa.Table.from_batches([*kept, head])
            batch, kept, rows = batch.slice(ROWS - rows), [], 0
        kept.append(batch)
        rows += batch.num_rows
    if rows:
        yield pa.Table.from_batches(kept)


def same(left: pa.ChunkedArray, right: pa.ChunkedArray) -> bool:
    """Equal values; floats up to the rounding of single precision, lists entry by entry."""
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
    """One array without dictionaries; a float that is no number counts as null."""
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
    return values


def main(task: str, base: Path, *rest: str) -> None:
    """What a child process does."""
    if task == "log":
        write_log(base, rest[0], int(rest[1]))
        return
    seconds = {"segue": run_segue, "pandas": run_pandas}[task](base, base / task)
    # KiB on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    figures = {"features_seconds": seconds[0], "join_seconds": seconds[1], "peak_memory_mb": peak}
    write_json(base / f"{task}.json", figures)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
