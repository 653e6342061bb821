"""Logs of one's own: Parquet files, folders of them, or CSV, with columns mapped to the contract's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events import canonical as columns
from events import schema
from events.imported import Imported, Source
from events.importers import text_files
from segue.errors import InputError

CANONICAL = sorted({f.name for table in (schema.EVENTS, schema.ITEMS, schema.USERS) for f in table})
TIME_RULE = "ts: unix numbers below 1e11 are seconds, from there on milliseconds; a time without a zone is UTC"


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
    text = (*CANONICAL, *renames.values())
    raw = {name: read_file(path, text) for name, path in paths.items() if path is not None}
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


def read_file(path: Path, text: Sequence[str]) -> tuple[pa.Table, Source]:
    """The table in a `.parquet` or `.csv` file or in a folder of Parquet files, and its source.

    Args:
        path: the file or folder.
        text: columns that are text in CSV, whatever they look like: `007` is an id.
    """
    if path.is_dir():
        table, source = read_folder(path)
    elif not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    elif path.suffix == ".parquet":
        table = read_parquet(path)
        source = Source.of(path.name, table.num_rows)
    elif path.suffix == ".csv":
        table, source = text_files.read(path, text=text)
    else:
        raise InputError(f"{path.name} is neither .parquet nor .csv.", "Convert it to one of them.")
    if table.num_rows == 0:
        raise InputError(f"{path.name} has no rows.", "Import a file with rows.")
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise InputError(f"{path.name} has two columns {twice[0]!r}.", "Rename or remove one of them.")
    return table, source


def read_folder(path: Path) -> tuple[pa.Table, Source]:
    """All Parquet files in a folder, in order of their names."""
    parts = sorted(path.rglob("*.parquet"))
    if not parts:
        raise InputError(f"The folder {path} holds no .parquet file.", "Name a folder of Parquet files.")
    tables = [read_parquet(part) for part in parts]
    names = [part.relative_to(path).as_posix() for part in parts]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise InputError(f"The files in {path} differ in their columns: {error}.", "Make them alike.") from None
    return table, Source.concat([Source.of(n, t.num_rows) for n, t in zip(names, tables, strict=True)])


def read_parquet(path: Path) -> pa.Table:
    """The table in one Parquet file; columns come from the file alone, not from its path."""
    try:
        return pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path.name} is not a Parquet file: {error}", "Write it again.") from None


def check_mapping(renames: Mapping[str, str], tables: Mapping[str, pa.Table]) -> None:
    """Raise InputError for a mapped column that no file has."""
    known = sorted({column for table in tables.values() for column in table.column_names})
    for ours, theirs in renames.items():
        if theirs not in known:
            raise InputError(
                f"`--map {ours}={theirs}`: no file has a column {theirs!r}. There are: {', '.join(known)}.",
                "Map the contract's name to the name in your file.",
            )


def rename(table: pa.Table, renames: Mapping[str, str]) -> pa.Table:
    """The table under canonical names. A column whose name a mapped one takes is left out."""
    mapped = {ours: table[theirs] for ours, theirs in renames.items() if theirs in table.column_names}
    renamed = set(renames.values())
    others = {name: table[name] for name in table.column_names if name not in renamed and name not in mapped}
    return pa.table({**mapped, **others})


def derived(ids: pa.ChunkedArray, key: str, table_schema: pa.Schema) -> pa.Table:
    """A table with a row for each id, in order of appearance; a title is the id."""
    found = pc.unique(ids.drop_null())
    given = {key: found, "title": found}
    columns_ = [given.get(f.name, pa.nulls(len(found), f.type)) for f in table_schema]
    return pa.table(columns_, schema=table_schema)
