"""Logs of one's own: Parquet files, folders of them, or CSV, with columns mapped to the contract's."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events import columns, schema, text_files
from events.imported import Imported, Source
from segue.errors import InputError

CANONICAL = {f.name for table in (schema.EVENTS, schema.ITEMS, schema.USERS) for f in table}
TIME_RULE = (
    "ts: unix numbers below 1e11 are seconds, from there on milliseconds; a time without a zone is UTC"
)


def read(
    events: Path,
    items: Path | None = None,
    users: Path | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Imported:
    """Read a log and what is known of its items and users.

    Args:
        events: a `.parquet` or `.csv` file, or a folder of Parquet files.
        items, users: of the same kinds; None: derived from the ids in the log.
        mapping: canonical name to the name in the files. It holds for each file that has the column.

    Returns:
        The data set `parquet-<name of events>`. Ids are text, optional columns that are absent are null,
        other columns are kept. In CSV, genres are separated by `|`.

    Raises:
        InputError: a file is absent, of another kind, empty, lacks a required or mapped column, or
            holds a value of a wrong type.
    """
    renames = dict(mapping or {})
    paths = {"events": events, "items": items, "users": users}
    raw = {name: read_file(path) for name, path in paths.items() if path is not None}
    check_mapping(renames, {name: table for name, (table, _) in raw.items()})
    tables, sources = {}, {}
    for name, table_schema in (("events", schema.EVENTS), ("items", schema.ITEMS), ("users", schema.USERS)):
        if name in raw:
            table, source = raw[name]
            tables[name] = columns.conform(rename(table, renames), table_schema, source)
            sources[name] = source
    notes = [f"{theirs} -> {ours}" for ours, theirs in renames.items()]
    if items is None:
        tables["items"] = derived(tables["events"]["item_id"], "item_id", schema.ITEMS)
        notes.append("items are the item ids of the events; title = id")
    if users is None:
        tables["users"] = derived(tables["events"]["user_id"], "user_id", schema.USERS)
        notes.append("users are the user ids of the events")
    return Imported(dataset=f"parquet-{events.stem}", mapping=(*notes, TIME_RULE), sources=sources, **tables)


def read_file(path: Path) -> tuple[pa.Table, Source]:
    """The table in a `.parquet` or `.csv` file or in a folder of Parquet files, and its source."""
    if path.is_dir():
        parts = sorted(path.rglob("*.parquet"))
        if not parts:
            raise InputError(f"The folder {path} holds no .parquet file.", "Name a folder of Parquet files.")
        tables = [read_parquet(part) for part in parts]
        names = [part.relative_to(path).as_posix() for part in parts]
        try:
            table = pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowTypeError as error:
            raise InputError(
                f"The files in {path} differ in their columns: {error}.", "Make them alike."
            ) from None
        return table, Source.concat([Source.of(n, t.num_rows) for n, t in zip(names, tables, strict=True)])
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    if path.suffix == ".parquet":
        table = read_parquet(path)
        return table, Source.of(path.name, table.num_rows)
    if path.suffix == ".csv":
        return text_files.read(path)
    raise InputError(f"{path.name} is neither .parquet nor .csv.", "Convert it to one of them.")


def read_parquet(path: Path) -> pa.Table:
    """The table in one Parquet file; columns come from the file alone, not from its path."""
    try:
        return pq.ParquetFile(path).read()
    except pa.ArrowInvalid as error:
        raise InputError(f"{path.name} is not a Parquet file: {error}", "Write it again.") from None


def check_mapping(renames: Mapping[str, str], tables: Mapping[str, pa.Table]) -> None:
    """Raise InputError for a mapped column that no file has."""
    known = {column for table in tables.values() for column in table.column_names}
    for ours, theirs in renames.items():
        if theirs not in known:
            raise InputError(
                f"`--map {ours}={theirs}`: no file has a column {theirs!r}. There are: {', '.join(sorted(known))}.",
                "Map the contract's name to the name in your file.",
            )


def rename(table: pa.Table, renames: Mapping[str, str]) -> pa.Table:
    """The table under canonical names. A column whose name a mapped one takes is left out."""
    ours_of = {theirs: ours for ours, theirs in renames.items()}
    taken = {ours for theirs, ours in ours_of.items() if theirs in table.column_names}
    kept = [name for name in table.column_names if name in ours_of or name not in taken]
    return table.select(kept).rename_columns([ours_of.get(name, name) for name in kept])


def derived(ids: pa.ChunkedArray, key: str, table_schema: pa.Schema) -> pa.Table:
    """A table with a row for each id, in order of appearance; a title is the id."""
    found = pc.unique(ids.drop_null())
    given = {key: found, "title": found}
    columns_ = [given.get(f.name, pa.nulls(len(found), f.type)) for f in table_schema]
    return pa.table(columns_, schema=table_schema)
