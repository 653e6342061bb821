"""Import your own log from Parquet or CSV files, with columns mapped to the data contract."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events import canonical, checks, schema
from events.bulk.batches import in_parallel, spans
from events.imported import Imported
from events.importers.own import columns, dialects, guess, parts
from events.importers.own.columns import SCHEMAS, TableMap
from events.importers.own.dialects import Dialect
from events.importers.own.parts import Part
from events.importers.own.row_ids import row_ids
from events.journal.joins import refuse_own
from events.origins import RowOrigins
from segue.errors import InputError

CANONICAL = sorted({name for names in columns.CONTRACT.values() for name in names})
TIME_RULE = "ts: unix times below 1e11 are seconds, larger ones milliseconds; a time without a zone is UTC"
EVENT_ID = "event_id"

Paths = Path | Sequence[Path]


def read(
    events: Paths,
    items: Paths | None = None,
    users: Paths | None = None,
    mapping: Mapping[str, str] | None = None,
    dialect: Dialect | None = None,
) -> Imported:
    """Read a log and, if given, its items and users.

    Args:
        events: Files and folders of Parquet or delimited text, which may be compressed and of mixed formats. In text,
            the values of a list are separated by `|`.
        items, users: The same. None or no path derives the table from the ids in the log.
        mapping: Our columns and values to those of the files (`events.importers.own.columns`).
        dialect: What the caller knows about the text files; the rest is told from their content.

    Returns:
        The data set `parquet-<name of events>`. Ids are text, absent optional columns are null, and other columns are
        kept. Events without a column of ids get ids from their content.

    Raises:
        InputError: A file is absent, empty or of another format, lacks a required or mapped column, or holds a value
            of the wrong type, or the log has a column of its own with a name that only the journal gives.
    """
    given = {name: as_paths(paths) for name, paths in (("events", events), ("items", items), ("users", users)) if paths}
    tables, origins, counts, notes = read_tables(given, mapping or {}, dialect or Dialect())
    refuse_own(tables["events"].schema)
    if "items" not in tables:
        tables["items"] = from_ids(tables["events"]["item_id"], "item_id", schema.ITEMS)
        notes.append("items are the item ids of the events; the title is the id")
    if "users" not in tables:
        tables["users"] = from_ids(tables["events"]["user_id"], "user_id", schema.USERS)
        notes.append("users are the user ids of the events")
    return Imported(
        dataset=f"parquet-{data_set_name(given['events'])}",
        mapping=(*notes, TIME_RULE),
        origins=origins,
        rows_by_file=counts,
        **tables,
    )


def read_tables(
    paths: Mapping[str, Sequence[Path]], mapping: Mapping[str, str], dialect: Dialect
) -> tuple[dict[str, pa.Table], dict[str, RowOrigins], dict[str, dict[str, int]], list[str]]:
    """Read some of the tables `events`, `items` and `users`.

    Args:
        paths: The files and folders of each.
        mapping, dialect: As in `read`.

    Returns:
        The tables in the types of the contract, the origins of their rows, the rows of each file, and what the import
        says about the reading.

    Raises:
        InputError: As in `read`.
    """
    text = (*CANONICAL, *columns.sources(mapping))
    raw, counts, notes = {}, {}, []
    for name, given in paths.items():
        read_parts, left_out = parts.read(given, text, dialect)
        counts[name] = {part.origins.name: part.table.num_rows for part in read_parts}
        raw[name] = [part for part in read_parts if part.table.num_rows]  # files without rows may lack columns
        notes += [f"{name}: {file} is not read: its name is not that of a table" for file in left_out]
    names = {name: list(dict.fromkeys(c for p in raw[name] for c in p.table.column_names)) for name in raw}
    maps = columns.resolve(mapping, names)
    notes += columns.notes(maps, names)
    tables, met = {}, set[tuple[str, str]]()
    before = {}
    for name, table_parts in raw.items():
        renamed = [canonical_names(part, maps[name], name) for part in table_parts]
        notes += [
            f"{name}: {theirs} is kept as it is; `--map {name}.{ours}={theirs}` reads it as {ours}"
            for ours, theirs in guess.guess_columns(renamed[0], name, {}).items()
        ]
        before[name], _ = parts.concat(
            [table.select(sorted({*maps[name].values} & {*table.column_names})) for table in renamed]
        )
        if name == "events" and any(parts.STORED_BY in part.partition for part in table_parts):
            notes.append("events: the folders' column day is not kept: events are stored by the day of their ts")
        make_ids = name == "events" and not any(EVENT_ID in table.column_names for table in renamed)
        translated = [
            prepared(columns.translate(table, maps[name].values, met), part, name, make_ids)
            for table, part in zip(renamed, table_parts, strict=True)
        ]
        conformed = canonical.conform_all(translated, SCHEMAS[name], [part.origins for part in table_parts])
        tables[name], mixed = parts.concat(conformed)
        notes += [f"{name}: {column} has several types and is kept as text" for column in mixed]
        if make_ids:
            tables[name], note = with_ids(tables[name])
            notes.append(note)
    columns.refuse_unmet(maps, met, before)
    origins = {name: RowOrigins.concat([part.origins for part in raw[name]]) for name in raw}
    return tables, origins, counts, notes


def read_items(files: Sequence[Path], mapping: Mapping[str, str], dialect: Dialect) -> tuple[pa.Table, list[str]]:
    """Read items as an import does and check them by its rules. A row that breaks a rule refuses the files.

    Returns:
        The items, and what the reading decided, in words.

    Raises:
        InputError: a row breaks a rule; the error names file, row and rule.
    """
    tables, origins, _, notes = read_tables({"items": files}, mapping, dialect)
    table, source = tables["items"], origins["items"]
    checks.stop_on_broken_table("items", table, source, latest=None)
    positions, reasons = checks.broken(checks.item_rules({"items": table}))
    if len(positions):
        checks.stop(
            source, positions[0], reasons[0], "Correct the row or leave it out: either all items are added, or none."
        )
    return canonical.without_notes(table), [*notes, *canonical.notes(table)]


def as_paths(paths: Paths) -> tuple[Path, ...]:
    """Return one path or several as a tuple."""
    return (paths,) if isinstance(paths, Path) else tuple(paths)


def data_set_name(paths: Sequence[Path]) -> str:
    """Return the name of the first file without its endings, and the number of further files."""
    name = paths[0].stem
    while Path(name).suffix.lower() in (".csv", ".tsv", ".parquet"):  # of `log.csv.gz`
        name = Path(name).stem
    return name if len(paths) == 1 else f"{name}-and-{len(paths) - 1}-more"


def canonical_names(part: Part, table_map: TableMap, name: str) -> pa.Table:
    """Return the rows of a file under the names of the contract, with decimal commas read in its numbers."""
    table = columns.rename(part.table, table_map.renames)
    numbers = [f.name for f in SCHEMAS[name] if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
    for column in {*numbers, *schema.LABEL_COLUMNS} & set(table.column_names):
        place = table.column_names.index(column)
        table = table.set_column(place, column, dialects.with_decimal_points(table[column]))
    if name == "events" and parts.STORED_BY in table.column_names and parts.STORED_BY in part.partition:
        return table.drop_columns(parts.STORED_BY)
    return table


def prepared(table: pa.Table, part: Part, name: str, make_ids: bool) -> pa.Table:
    """Return the rows of a file with all columns that the contract requires; event ids to be made are null.

    Raises:
        InputError: A column is missing. The error says in which form the file was read.
    """
    if make_ids:
        table = table.append_column(EVENT_ID, canonical.nulls(table, pa.string()))
    missing = [f.name for f in SCHEMAS[name] if not f.nullable and f.name not in table.column_names]
    if missing:
        likely = guess.guess_columns(table, name, {}).get(missing[0], "NAME")
        dialect = " The first line of a text file names its columns; `--separator` says what divides them."
        raise InputError(
            f"{part.origins.name}: the column {missing[0]!r} is missing. "
            f"It has: {', '.join(part.table.column_names)}; read as {part.form}.",
            f"Add the column, or name the one that holds it with `--map {name}.{missing[0]}={likely}`; "
            f"`segue data check` proposes all.{'' if part.form.startswith('Parquet') else dialect}",
        )
    return table


def with_ids(events: pa.Table) -> tuple[pa.Table, str]:
    """Return the events with ids made from their content, and the rule in words."""
    ids, repeated = row_ids(events.drop_columns(EVENT_ID))
    place = events.column_names.index(EVENT_ID)
    note = f"events: event_id is made from the content of the row (SHA-256); {repeated} rows repeat another"
    return events.set_column(place, events.schema.field(place), ids), note


def from_ids(ids: pa.ChunkedArray, key: str, table_schema: pa.Schema) -> pa.Table:
    """Return a table with one row for each distinct id, in order of appearance. The id serves as the title.

    Args:
        ids: Ids with repetitions and nulls.
        key: Name of the id column.
        table_schema: Schema of the table. Its other columns are null.
    """
    distinct = pc.unique(pa.chunked_array(list(in_parallel(pc.unique, spans(ids))), ids.type)).drop_null()
    filled = {key: distinct, "title": distinct}
    values = [filled.get(f.name, pa.nulls(len(distinct), f.type)) for f in table_schema]
    return pa.table(values, schema=table_schema)
