"""Import your own log from Parquet or CSV files, with columns mapped to the data contract."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events import canonical, schema
from events.imported import Imported
from events.importers import text_files
from events.origins import RowOrigins
from segue.errors import InputError

CANONICAL = sorted({f.name for table in (schema.EVENTS, schema.ITEMS, schema.USERS) for f in table})
TIME_RULE = "ts: unix times below 1e11 are seconds, larger ones milliseconds; a time without a zone is UTC"


def read(
    events: Path,
    items: Path | None = None,
    users: Path | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Imported:
    """Read a log and, if given, its items and users.

    Args:
        events: A `.parquet` or `.csv` file, or a folder of Parquet files. In CSV, the values of a list are separated
            by `|`.
        items, users: Files or folders of the same formats. None derives the table from the ids in the log.
        mapping: Canonical column name to the name in the files. It applies to each file that has the column.

    Returns:
        The data set `parquet-<name of events>`. Ids are text, absent optional columns are null, and other columns are
        kept.

    Raises:
        InputError: A file is absent, empty or of another format, lacks a required or mapped column, or holds a value
            of the wrong type.
    """
    renames = dict(mapping or {})
    paths = {"events": events, "items": items, "users": users}
    text_columns = (*CANONICAL, *renames.values())
    raw = {name: read_file(path, text_columns) for name, path in paths.items() if path is not None}
    check_mapping(renames, {name: table for name, (table, _) in raw.items()})
    tables, origins = {}, {}
    for name, table_schema in (("events", schema.EVENTS), ("items", schema.ITEMS), ("users", schema.USERS)):
        if name in raw:
            table, origins[name] = raw[name]
            tables[name] = canonical.conform(rename(table, renames), table_schema, origins[name])
    notes = [f"{theirs} -> {ours}" for ours, theirs in renames.items()]
    if items is None:
        tables["items"] = from_ids(tables["events"]["item_id"], "item_id", schema.ITEMS)
        notes.append("items are the item ids of the events; the title is the id")
    if users is None:
        tables["users"] = from_ids(tables["events"]["user_id"], "user_id", schema.USERS)
        notes.append("users are the user ids of the events")
    return Imported(dataset=f"parquet-{events.stem}", mapping=(*notes, TIME_RULE), origins=origins, **tables)


def read_file(path: Path, text: Sequence[str]) -> tuple[pa.Table, RowOrigins]:
    """Read a `.parquet` or `.csv` file or a folder of Parquet files.

    Args:
        path: The file or folder.
        text: Columns of a CSV file to read as text even if they look like numbers, so that the id `007` keeps its
            zeros.

    Returns:
        The table and the origins of its rows.

    Raises:
        InputError: The file is absent, empty or of another format, or two of its columns have the same name.
    """
    if path.is_dir():
        table, origins = read_folder(path)
    elif not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    elif path.suffix == ".parquet":
        table = read_parquet(path)
        origins = RowOrigins.of(path.name, table.num_rows)
    elif path.suffix == ".csv":
        table, origins = text_files.read(path, text=text)
    else:
        raise InputError(f"{path.name} is neither .parquet nor .csv.", "Convert it to one of these formats.")
    if table.num_rows == 0:
        raise InputError(f"{path.name} has no rows.", "Import a file with rows.")
    repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise InputError(f"{path.name} has two columns {repeated[0]!r}.", "Rename or remove one of them.")
    return table, origins


def read_folder(path: Path) -> tuple[pa.Table, RowOrigins]:
    """Read all Parquet files in a folder and its subfolders, in order of their paths, into one table."""
    parts = sorted(path.rglob("*.parquet"))
    if not parts:
        raise InputError(f"The folder {path} holds no .parquet file.", "Give the path of a folder with Parquet files.")
    tables = [read_parquet(part) for part in parts]
    names = [part.relative_to(path).as_posix() for part in parts]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(
            f"The files in {path} differ in their columns: {error}.",
            "Give all files the same columns with the same types.",
        ) from None
    return table, RowOrigins.concat([RowOrigins.of(n, t.num_rows) for n, t in zip(names, tables, strict=True)])


def read_parquet(path: Path) -> pa.Table:
    """Read one Parquet file. A folder name such as `day=2026-01-05` in its path does not become a column."""
    try:
        return pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path.name} is not a Parquet file: {error}", "Write the file again as Parquet.") from None


def check_mapping(renames: Mapping[str, str], tables: Mapping[str, pa.Table]) -> None:
    """Raise InputError if a column of the mapping is in no file."""
    available = sorted({column for table in tables.values() for column in table.column_names})
    for ours, theirs in renames.items():
        if theirs not in available:
            raise InputError(
                f"`--map {ours}={theirs}`: no file has a column {theirs!r}. There are: {', '.join(available)}.",
                "Give the canonical name first and the name in your file second.",
            )


def rename(table: pa.Table, renames: Mapping[str, str]) -> pa.Table:
    """Return the table under canonical names.

    A column that already has a canonical name is dropped if another column is mapped to that name.
    """
    mapped = {ours: table[theirs] for ours, theirs in renames.items() if theirs in table.column_names}
    renamed = set(renames.values())
    others = {name: table[name] for name in table.column_names if name not in renamed and name not in mapped}
    return pa.table({**mapped, **others})


def from_ids(ids: pa.ChunkedArray, key: str, table_schema: pa.Schema) -> pa.Table:
    """Return a table with one row for each distinct id, in order of appearance. The id serves as the title.

    Args:
        ids: Ids with repetitions and nulls.
        key: Name of the id column.
        table_schema: Schema of the table. Its other columns are null.
    """
    distinct = pc.unique(ids.drop_null())
    filled = {key: distinct, "title": distinct}
    columns = [filled.get(f.name, pa.nulls(len(distinct), f.type)) for f in table_schema]
    return pa.table(columns, schema=table_schema)
