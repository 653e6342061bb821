"""Read JSON files with DuckDB. Errors name the file and the row."""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from segue.errors import InputError

LARGEST = 2**30  # bytes of one JSON object; a slice of the Million Playlist Dataset has about 33 MB


def read(path: Path, columns: Mapping[str, str], query: str = "SELECT * FROM rows", lines: bool = True) -> pa.Table:
    """Read one file, plain or compressed (`.gz`, `.zst`).

    Args:
        path: The file.
        columns: Fields to read and their DuckDB types. Other fields are skipped, and absent ones are null.
        query: SQL over `rows`, which has these columns.
        lines: Whether each line is a JSON object; otherwise the file is one object.

    Raises:
        InputError: The file is no JSON, or a value does not fit its type.
    """
    layout = "newline_delimited" if lines else "unstructured"
    try:
        rows = duckdb.connect().read_json(
            str(path), format=layout, columns=dict(columns), maximum_object_size=None if lines else LARGEST
        )
        return rows.query("rows", query).to_arrow_table()
    except duckdb.Error as error:
        raise InputError(f"{path.name}: {describe_error(error, path)}.", "Use the file as published.") from None


def describe_error(error: duckdb.Error, path: Path) -> str:
    """Return DuckDB's message in our form: `row 3: malformed JSON, unexpected end of data`."""
    message = str(error).split("\n", 1)[0].partition(": ")[2].strip().rstrip(".")
    rule, _, rest = message.partition(f' in file "{path}", ')
    place, _, reason = rest.partition(": ")
    if not reason:
        return message
    row = place.rpartition(" ")[2]
    return f"row {row}: {rule[:1].lower()}{rule[1:]}, {reason[:1].lower()}{reason[1:]}"
