"""The log that metrics read: collected events with their exposures, and the tables beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from segue.errors import InputError

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir

OF_REQUESTS = ("user_id", "ts", "latency_ms")


@dataclass(frozen=True)
class Log:
    """The tables of a log, as Ibis expressions.

    Args:
        events: Events of the data contract. Collected ones have `exposure`, a struct with `arms` (a JSON object: arm by
            experiment), `fallback` and `degraded`.
        items: The catalogue, for `creator_id` and `release_date`.
        users: The listeners, for slices.
        requests: A row for each request (`user_id`, `ts`, `latency_ms`), if the caller has such a log.
    """

    events: "ir.Table"
    items: "ir.Table"
    users: "ir.Table"
    requests: "ir.Table | None" = None


@contextmanager
def open_log(data: Path, requests: Path | None = None) -> Iterator[Log]:
    """Open the imported data set in a folder; the log is readable while the body runs.

    Args:
        data: The folder of the data set.
        requests: A Parquet file of requests, or None.

    Raises:
        InputError: There is no data set, or the file of requests cannot be read or lacks a column.
    """
    from events.dataset import load

    tables = load(data)
    with engine() as duckdb:
        events = duckdb.read_parquet(tables.events_files, hive_partitioning=False)
        # Paths stand in lists, because DuckDB would take a folder named `[v2]` for a pattern.
        items, users = (duckdb.read_parquet([str(data / f"{name}.parquet")]) for name in ("items", "users"))
        asked = duckdb.read_parquet([str(checked_requests(requests))]) if requests else None
        yield Log(events, items, users, asked)


def checked_requests(path: Path) -> Path:
    """Return the path of a file of requests that has the columns of one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid):
        raise InputError(f"The requests {path} cannot be read.", "Give a Parquet file.") from None
    if missing := [name for name in OF_REQUESTS if name not in columns]:
        raise InputError(
            f"A log of requests has the columns {', '.join(OF_REQUESTS)}. {path} lacks {', '.join(missing)}.",
            "Add them: the listener, the instant in UTC, and the milliseconds of the answer.",
        )
    return path


@contextmanager
def engine() -> Iterator["ibis.BaseBackend"]:
    """A DuckDB that spills into a temporary folder and reads times as UTC."""
    import ibis

    with TemporaryDirectory(prefix="segue-experiments-") as folder:
        connection = ibis.duckdb.connect(temp_directory=folder)
        try:
            connection.raw_sql("SET TimeZone = 'UTC'")
            connection.raw_sql("SET preserve_insertion_order = false")
            yield connection
        finally:
            connection.disconnect()
