"""Time and memory of importing an own log: Segue beside plain DuckDB and plain pandas, in one run.

`benchmarks.importing.log` makes the log. Each contestant imports each format in a process of its own: the seconds are
those of the whole process, with the start of Python and its libraries. All three do the same:

- read every column with its type, and the catalogue of items;
- stop on a null in `event_id`, `user_id`, `item_id` or `ts`, on a repeated `event_id`, and on a time out of range;
- set aside, with the first rule that it breaks, each row with an unknown action, surface or item, or with a negative
  `ms_played` or `position`;
- order the rest by time and id, and store it as Parquet with zstd, in a folder for each day.

What differs, in whose favour:

- DuckDB and pandas are told the columns, their types and the separator. Segue tells the format, the encoding, the
  separator and the names from the files, reads times and ids in all their forms, keeps the file and row of each event
  for its errors, and writes the table of users, a manifest and a checksum of all files.
- DuckDB's partitioned writer keeps only nearly the order within a day. Segue and pandas keep it.
- DuckDB and pandas hold what fits into the memory of the machine. Segue keeps the log in a temporary file.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from benchmarks.importing.log import CATALOGUE, FORMATS
from benchmarks.results import Say, machine, target
from benchmarks.subprocesses import run_module
from segue.errors import SegueError

CONTESTANTS = ("segue", "duckdb", "pandas")
MOST_TIMES_DUCKDB, LEAST_TIMES_PANDAS = 1.5, 3.0
LEAST_EVENTS = 1_000_000  # of a log whose seconds are compared; the start of a process outweighs the work on a smaller


def run(events: int, say: Say, seed: int = 0) -> dict:
    """Make a log of `events` events and import it with every contestant from every format.

    Returns:
        `events`; `formats`: for each format and contestant `seconds`, `cpu_seconds`, `peak_memory_mb` (MiB), `stored`
        and `quarantined` (rows), and for the format `times_duckdb` (Segue's seconds over DuckDB's) and `times_pandas`
        (pandas' over Segue's); `memory_limit_mb`; `targets`; `machine`.

    Raises:
        SegueError: a contestant failed.
    """
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        base = Path(folder)
        say(f"making the log of {events:,} events")
        run_module("benchmarks.importing.log", base, events, seed, quiet=True)
        formats: dict[str, dict] = {}
        for name, file in FORMATS.items():
            formats[name] = {}
            for contestant in CONTESTANTS:
                formats[name][contestant] = contest(contestant, base / file, base)
                say(f"{name}: {contestant}: {formats[name][contestant]['seconds']:,.1f} s")
    for measured in formats.values():
        seconds = {name: measured[name]["seconds"] for name in CONTESTANTS}
        measured["times_duckdb"] = seconds["segue"] / seconds["duckdb"]
        measured["times_pandas"] = seconds["pandas"] / seconds["segue"]
    return {
        "events": events,
        "formats": formats,
        "memory_limit_mb": memory_limit_mb(events),
        "targets": targets(events, formats),
        "machine": machine("duckdb", "pandas", "pyarrow"),
    }


def memory_limit_mb(events: int) -> float:
    """Return the most memory that an import of so many events may take (MiB): a fixed part, and some bytes for each."""
    return 1024 + 64 * events / 2**20


def targets(events: int, formats: dict[str, dict]) -> dict:
    """The targets of a run: equal numbers of rows, memory, and for logs that are long enough the seconds."""
    limits = {}
    for name, measured in formats.items():
        rows = {(measured[contestant]["stored"], measured[contestant]["quarantined"]) for contestant in CONTESTANTS}
        limits[f"{name}_different_row_counts"] = target(len(rows) - 1, at_most=0)
        limits[f"{name}_peak_memory_mb"] = target(measured["segue"]["peak_memory_mb"], at_most=memory_limit_mb(events))
        if events >= LEAST_EVENTS:
            limits[f"{name}_times_duckdb"] = target(measured["times_duckdb"], at_most=MOST_TIMES_DUCKDB)
            limits[f"{name}_times_pandas"] = target(measured["times_pandas"], at_least=LEAST_TIMES_PANDAS)
    return limits


def contest(contestant: str, log: Path, base: Path) -> dict:
    """Import one file with one contestant and return its figures."""
    home = base / f"{contestant}-{log.name}"
    figures = measure(command(contestant, log, base / CATALOGUE, home), home)
    out = home / "data"
    days = (out / "events").glob("day=*/*.parquet")
    return {
        **figures,
        "stored": sum(pq.read_metadata(path).num_rows for path in days),
        "quarantined": pq.read_metadata(out / "quarantine.parquet").num_rows,
    }


def command(contestant: str, log: Path, items: Path, home: Path) -> list[str]:
    """Return the arguments of Python that import a log into `home/data`."""
    if contestant == "segue":
        return ["-m", "segue", "data", "import", "parquet", "--events", str(log), "--items", str(items)]
    return ["-m", f"benchmarks.importing.{contestant}_peer", str(log), str(items), str(home / "data")]


def measure(arguments: Sequence[str], home: Path) -> dict[str, float]:
    """Run Python with SEGUE_HOME set to `home`; return `seconds`, `cpu_seconds` and `peak_memory_mb`.

    The kernel counts the process, which has threads and no children.

    Raises:
        SegueError: the process failed.
    """
    home.mkdir()
    with (home / "log.txt").open("w+", encoding="utf-8", errors="replace") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *arguments],
            env={**os.environ, "SEGUE_HOME": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SegueError(
                f"An import of the benchmark must end with exit code 0. It ended with {process.returncode}.",
                f"Its output ended with:\n{output.read()[-2000:]}",
            )
    unit = 1 if sys.platform == "darwin" else 1024  # of `ru_maxrss`
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_mb": usage.ru_maxrss * unit / 2**20,
    }
