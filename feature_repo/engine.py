"""DuckDB in this process: the engine that evaluates the Ibis expressions on one machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis
from ibis.expr.types import Table


@contextmanager
def duckdb_engine() -> Iterator[ibis.BaseBackend]:
    """Open a private in-memory DuckDB. It spills to a temporary folder, which is removed at the end."""
    with TemporaryDirectory(prefix="segue-duckdb-") as spill:
        connection = ibis.duckdb.connect(temp_directory=spill)
        try:
            yield connection
        finally:
            connection.disconnect()


def literal(path: str | Path) -> str:
    """Escape a path, so that DuckDB's pattern matches this path alone: a home may be called `[v2]` or `new*`."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))


def read_parquet(engine: ibis.BaseBackend, path: Path) -> Table:
    """Return the table of one Parquet file; its path may have any characters."""
    return engine.read_parquet(literal(path))


def write(table: Table, path: Path) -> None:
    """Evaluate `table` into one Parquet file without holding the result in memory.

    Ibis's own `to_parquet` writes the path into SQL as Python's `repr`, which DuckDB cannot read if the path has both
    kinds of quotes or a backslash.
    """
    engine = table.get_backend()
    engine.con.sql(engine.compile(table)).write_parquet(str(path), compression="zstd")
