"""DuckDB with a limit of memory."""

import contextlib
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

MEMORY = "512MiB"  # of one query; what does not fit goes to the folder of temporary files


@contextlib.contextmanager
def bounded_database() -> Iterator["duckdb.DuckDBPyConnection"]:
    """Yield a connection whose queries keep to `MEMORY` and spill into a folder that ends with it."""
    import duckdb

    with (
        TemporaryDirectory(prefix="segue-") as folder,
        duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": folder}) as connection,
    ):
        yield connection
