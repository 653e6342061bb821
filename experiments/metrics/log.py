"""The log that metrics read: collected events with their exposures, and the tables beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Log:
    """The tables of a log, as Ibis expressions.

    Args:
        events: Events of the data contract. Collected ones have `exposure`, a struct with `arms` (a JSON object: arm by
            experiment) and `fallback`.
        items: The catalogue, for `creator_id` and `release_date`.
        users: The listeners, for slices.
        requests: A row for each request to the gateway (`user_id`, `ts`, `latency_ms`, `failed`), if it is kept.
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
        InputError: There is no data set.
    """
    from events.dataset import load

    tables = load(data)
    with engine() as duckdb:
        events = duckdb.read_parquet(tables.events_files, hive_partitioning=False)
        # Paths stand in lists, because DuckDB would take a folder named `[v2]` for a pattern.
        items, users = (duckdb.read_parquet([str(data / f"{name}.parquet")]) for name in ("items", "users"))
        asked = duckdb.read_parquet([str(requests)]) if requests else None
        yield Log(events, items, users, asked)


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
