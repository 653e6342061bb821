"""Read JSON files with DuckDB. Errors name the file and the row."""

import gzip
import json
from collections.abc import Mapping
from glob import escape
from pathlib import Path

import duckdb
import pyarrow as pa

from events.origins import RowOrigins
from segue.errors import InputError

LARGEST = 2**30  # bytes of one JSON object; a slice of the Million Playlist Dataset has about 33 MB


def read(
    path: Path, columns: Mapping[str, str], query: str = "SELECT * FROM rows", lines: bool = True
) -> tuple[pa.Table, RowOrigins]:
    """Read one file, plain or compressed (`.gz`), and return its rows with their origins.

    Args:
        path: The file.
        columns: Fields to read and their DuckDB types. Other fields are skipped, and absent ones are null.
        query: SQL over `rows`, which has these columns.
        lines: Whether each line is a JSON object; otherwise the file is one object.

    Raises:
        InputError: The file is no JSON, or a value does not fit its type.
    """
    layout = "newline_delimited" if lines else "unstructured"
    types = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    source = f"read_json($path, format='{layout}', columns={{{types}}}, maximum_object_size={LARGEST})"
    try:
        # A path may have characters of a glob pattern, such as brackets.
        table = (
            duckdb.connect()
            .sql(f"WITH rows AS (FROM {source}) {query}", params={"path": escape(str(path))})
            .to_arrow_table()
        )
    except duckdb.Error as error:
        reason = malformed(path, lines) or describe_error(error, path)
        raise InputError(f"{path.name}: {reason}.", "Use the file as it was published.") from None
    return table, RowOrigins.of(path.name, table.num_rows)


def malformed(path: Path, lines: bool) -> str | None:
    """Return the first row that is no JSON and why, or None. DuckDB's own row numbers are off by one at times."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, text in enumerate(file if lines else [file.read()], 1):
                try:
                    json.loads(text) if text.strip() else None
                except json.JSONDecodeError as error:
                    return f"row {number if lines else error.lineno}: malformed JSON ({error.msg})"
    except (OSError, EOFError, UnicodeDecodeError) as error:
        return f"it cannot be read ({error})"
    return None


def describe_error(error: duckdb.Error, path: Path) -> str:
    """Return DuckDB's message about a value in our form: `row 3: failed to cast value to numerical: "bad"`."""
    message = str(error).split("\n", 1)[0].partition(": ")[2].strip().rstrip(".")
    place, _, reason = message.partition(f' in file "{path}", in ')[2].partition(": ")
    return f"row {place.rpartition(' ')[2]}: {reason[:1].lower()}{reason[1:]}" if reason else message
