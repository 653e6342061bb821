"""The engine that evaluates the Ibis expressions on one machine: DuckDB, in process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
from ibis.expr.types import Table


@contextmanager
def duckdb_engine() -> Iterator[ibis.BaseBackend]:
    """A private in-memory DuckDB that spills to a folder which is removed afterwards."""
    with TemporaryDirectory(prefix="segue-duckdb-") as spill:
        connection = ibis.duckdb.connect(temp_directory=spill)
        try:
            yield connection
        finally:
            connection.disconnect()


def write(table: Table, path: Path) -> None:
    """Evaluate `table` into one Parquet file without holding the result in memory."""
    table.to_parquet(path, compression="zstd")
