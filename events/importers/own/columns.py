"""Columns and values of a log's files mapped to the data contract: what `--map` says.

A mapping is `{OURS: THEIRS}`. `ts: played_at` reads our column from theirs in each table that has use for it,
`events.event_id: id` in one table alone, and `action.click: play` reads their value as ours.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from events.bulk.batches import by_chunk
from events.values.reading import MISSING
from segue.errors import InputError

SCHEMAS = {"events": schema.EVENTS, "items": schema.ITEMS, "users": schema.USERS}
CONTRACT = {name: table.names for name, table in SCHEMAS.items()}
CONTRACT["events"] = [*schema.EVENTS.names, *schema.LABEL_COLUMNS]
NEAR = 0.85  # similarity from which a name is taken for a slip
VOCABULARIES = {"action": schema.ACTIONS, "surface": schema.SURFACES}  # whose letters' case says nothing


@dataclass
class TableMap:
    """The mapping of one table.

    Args:
        renames: `{our column: their column}`.
        values: `{our column: {their value: our value}}`.
    """

    renames: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)


def split(ours: str) -> tuple[str | None, str, str | None]:
    """Split the left side of a mapping into table, column and value: `action.click` has no table."""
    table, _, rest = ours.partition(".")
    if not rest or table not in CONTRACT:
        table, rest = "", ours
    column, _, value = rest.partition(".")
    if value and any(column in names for names in CONTRACT.values()):
        return table or None, column, value
    return table or None, rest, None


def sources(mapping: Mapping[str, str]) -> list[str]:
    """Return the columns of the files that a mapping reads."""
    return [theirs for ours, theirs in mapping.items() if split(ours)[2] is None]


def resolve(mapping: Mapping[str, str], columns: Mapping[str, Sequence[str]]) -> dict[str, TableMap]:
    """Return the mapping of each table.

    A column without a table is mapped in the tables of the contract that have it, where the files have THEIRS. If
    some of these tables have no column OURS yet, the mapping is meant for them; the others keep their own.

    Args:
        mapping: `{OURS: THEIRS}`.
        columns: Columns of the files of each table.

    Raises:
        InputError: No file has the column, a table without files is named, one column of a table is mapped to two
            names, or a value is mapped to none of the contract.
    """
    maps = {table: TableMap() for table in columns}
    parts = {ours: split(ours) for ours in mapping}
    for ours, (table, _, _) in parts.items():
        if table and table not in columns:
            raise InputError(f"`--map {ours}={mapping[ours]}`: no {table} are given.", f"Add `--{table} FILE`.")
    # A mapping that names its table comes first; one without a table leaves that table's column alone.
    for ours, (table, column, value) in sorted(parts.items(), key=lambda part: part[1][0] is None):
        theirs = mapping[ours]
        owners = [table] if table else [name for name in columns if column in CONTRACT[name]] or list(columns)
        if value is None:
            check_name(ours, column, theirs)
        else:
            check_value(ours, column, theirs)
            for name in owners:
                maps[name].values.setdefault(column, {})[value] = theirs
            continue
        having = [name for name in owners if theirs in columns[name]]
        if not having:
            seen = sorted({name for owner in owners for name in columns[owner]})
            where = "no file has" if len(owners) == len(columns) else f"no file of {' or '.join(owners)} has"
            raise InputError(
                f"`--map {ours}={theirs}`: {where} a column {theirs!r}. There are: {', '.join(seen)}.",
                "Give the canonical name first and the name in your file second.",
            )
        lacking = [name for name in having if column not in columns[name]]
        for name in lacking or having:
            maps[name].renames.setdefault(column, theirs)
    for name, table_map in maps.items():
        refuse_two_names(name, table_map.renames)
    return maps


def check_name(ours: str, column: str, theirs: str) -> None:
    """Raise InputError if a name that the contract does not have looks like a slip: it is near one, or has a point."""
    names = sorted({name for table in CONTRACT.values() for name in table})
    near = get_close_matches(column.lower(), names, n=1, cutoff=NEAR)
    if column not in names and (near or "." in column):
        meant = (
            f"Use `--map {near[0]}={theirs}`."
            if near
            else f"Before the point stands {', '.join(CONTRACT)} or a column."
        )
        raise InputError(f"`--map {ours}={theirs}`: the contract has no {column!r}.", meant)


def check_value(ours: str, column: str, target: str) -> None:
    """Raise InputError if a value is mapped to one that the contract does not have."""
    allowed = VOCABULARIES.get(column)
    if allowed and target not in allowed:
        raise InputError(
            f"`--map {ours}={target}`: {column} is one of {', '.join(allowed)}. Received {target!r}.",
            "Give your value after the point and ours after the equals sign, such as `--map action.click=play`.",
        )


def refuse_two_names(table: str, renames: Mapping[str, str]) -> None:
    """Raise InputError if one column of a table is mapped to two names."""
    for theirs, count in Counter(renames.values()).items():
        if count > 1:
            names = [ours for ours, source in renames.items() if source == theirs]
            raise InputError(
                f"One column is read under one name; {theirs!r} of the {table} is mapped to {' and '.join(names)}.",
                f"Name the table that each is meant for, such as `--map {table}.{names[0]}={theirs}`.",
            )


def rename(table: pa.Table, renames: Mapping[str, str]) -> pa.Table:
    """Return the table under canonical names.

    A column that already has a canonical name is dropped if another column is mapped to that name.
    """
    mapped = {ours: table[theirs] for ours, theirs in renames.items() if theirs in table.column_names}
    renamed = set(renames.values())
    others = {name: table[name] for name in table.column_names if name not in renamed and name not in mapped}
    return pa.table({**mapped, **others})


def translate(table: pa.Table, values: Mapping[str, Mapping[str, str]], met: set[tuple[str, str]]) -> pa.Table:
    """Return the table with mapped values, and with the actions and surfaces of the contract in lower case.

    A word that stands for a missing value, such as `NULL`, is null.

    Args:
        table: A table under canonical names.
        values: `{column: {their value: our value}}`; the case of the letters is ignored.
        met: Receives `(column, their value)` for each mapped value that occurs.
    """
    for column in {*values, *VOCABULARIES} & set(table.column_names):
        of_case = {theirs.casefold(): (theirs, ours) for theirs, ours in values.get(column, {}).items()}
        try:
            texts = table[column].cast(pa.string())
        except pa.ArrowException:
            continue  # lists, for instance; `canonical.conform` refuses them and names the row
        dictionary = pc.unique(by_chunk(pc.unique, texts)).drop_null()
        targets: list[str | None] = []
        for text in dictionary.to_pylist():
            folded = text.strip().casefold()
            if folded in of_case:
                met.add((column, of_case[folded][0]))
                targets.append(of_case[folded][1])
            elif folded in VOCABULARIES.get(column, ()):
                targets.append(folded)
            else:
                targets.append(None if text.strip() in MISSING else text)
        translated = pa.array(targets, pa.string())
        if table[column].type == pa.string() and translated.equals(dictionary):  # the usual case: nothing changes
            continue
        replaced = [
            pa.DictionaryArray.from_arrays(pc.index_in(chunk, dictionary), translated) for chunk in texts.chunks
        ]
        replaced = pa.chunked_array(replaced, pa.dictionary(pa.int32(), pa.string()))
        table = table.set_column(table.column_names.index(column), column, replaced)
    return table


def refuse_unmet(maps: Mapping[str, TableMap], met: set[tuple[str, str]], tables: Mapping[str, pa.Table]) -> None:
    """Raise InputError if a mapped value occurs in no row."""
    for name, table_map in maps.items():
        for column, values in table_map.values.items():
            for theirs in values:
                if column not in tables[name].column_names:
                    raise InputError(
                        f"`--map {column}.{theirs}={values[theirs]}`: no file of {name} has a column {column!r}.",
                        f"Name the column that holds it with `--map {name}.{column}=NAME`.",
                    )
                if (column, theirs) not in met:
                    seen = [str(value) for value in tables[name][column].unique().to_pylist()[:10]]
                    raise InputError(
                        f"`--map {column}.{theirs}={values[theirs]}`: no row of the {name} has this {column}. "
                        f"There are: {', '.join(seen)}.",
                        "Give your value after the point, as the file has it.",
                    )


def notes(maps: Mapping[str, TableMap], columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one line for each column and value that is mapped, with its table."""
    lines = []
    for name, table_map in maps.items():
        for ours, theirs in table_map.renames.items():
            replaced = " (in place of its own)" if ours in columns[name] and ours != theirs else ""
            lines.append(f"{name}: {theirs} -> {ours}{replaced}")
        for column, values in table_map.values.items():
            lines += [f"{name}: {column} {theirs} -> {ours}" for theirs, ours in values.items()]
    return lines
