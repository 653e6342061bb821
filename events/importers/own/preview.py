"""Say what an import of files would do, without storing anything."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from events import checks, dataset
from events.importers import tabular
from events.importers.own import columns, guess, parts
from events.importers.own.dialects import Dialect
from segue.errors import InputError
from segue.terminal import visible

SAMPLES = 3  # quarantined rows that are shown for each reason


def preview(files: Sequence[Path], mapping: Mapping[str, str], dialect: Dialect, latest: datetime) -> dict[str, Any]:
    """Read files as an import would, with a guessed mapping, and check their rows.

    Args:
        files: Files and folders of one log, in any order; each holds events, items or users.
        mapping: What the user knows of the mapping.
        dialect: What the user knows about the text files.
        latest: The latest allowed time (UTC, inclusive).

    Returns:
        `files` (table, form and rows of each), `mapping` `{ours: theirs}`, `unmatched` `{table: [column]}`, `counts`,
        `quarantine_reasons`, `samples` (quarantined rows), `notes` (the rules of the import), `stops` (its error, or
        None) and `command`. With an error there are no counts, samples and notes.

    Raises:
        InputError: A file cannot be read, or looks like none of the tables.
    """
    text = (*tabular.CANONICAL, *columns.sources(mapping))
    read = {str(file): parts.read([file], text, dialect)[0] for file in files}
    rows = {file: parts.concat([part.table for part in file_parts])[0] for file, file_parts in read.items()}
    tables = guess.guess_table(rows, mapping)
    guesses: dict[str, str] = dict(mapping)
    left: dict[str, list[str]] = {}
    for file, name in sorted(tables.items(), key=lambda entry: list(columns.CONTRACT).index(entry[1])):
        own = {
            column: theirs for column, theirs in mapped_in(guesses, name).items() if theirs in rows[file].column_names
        }
        guessed = guess.guess_columns(rows[file], name, own)
        guesses |= {f"{name}.{ours}": theirs for ours, theirs in guessed.items()}
        left.setdefault(name, [])
        left[name] += [c for c in guess.unmatched(rows[file].column_names, name, own | guessed) if c not in left[name]]
    paths = {name: [Path(file) for file in tables if tables[file] == name] for name in columns.CONTRACT}
    report: dict[str, Any] = {
        "files": [
            {"file": part.origins.name, "table": tables[file], "form": part.form, "rows": part.table.num_rows}
            for file, file_parts in read.items()
            for part in file_parts
        ],
        "mapping": guesses,
        "unmatched": left,
        "command": command(paths, guesses, dialect),
        "notes": [],
        "quarantine_reasons": {},
        "samples": {},
        "stops": None,
    }
    try:
        imported = tabular.read(paths["events"], paths["items"], paths["users"], guesses, dialect)
        checked = checks.check(imported, latest)
    except InputError as error:
        return {**report, "stops": {"headline": error.headline, "fix": error.fix}}
    kept = {name: guess.unmatched(getattr(checked, name).column_names, name, {}) for name in left}
    reasons = dataset.counts(checked.quarantine["reason"])
    samples = {
        reason: checked.quarantine.filter(pc.field("reason") == reason).slice(0, SAMPLES).to_pylist()
        for reason in reasons
    }
    counts = {name: getattr(checked, name).num_rows for name in (*columns.CONTRACT, "quarantine")}
    return {
        **report,
        "unmatched": kept,
        "counts": counts,
        "notes": list(checked.mapping),
        "quarantine_reasons": reasons,
        "samples": samples,
    }


def mapped_in(mapping: Mapping[str, str], table: str) -> dict[str, str]:
    """Return the columns that a mapping can name in one table, `{ours: theirs}`."""
    split = {ours: columns.split(ours) for ours in mapping}
    return {
        column: mapping[ours]
        for ours, (named, column, value) in split.items()
        if value is None and named in (None, table)
    }


def command(paths: Mapping[str, Sequence[Path]], mapping: Mapping[str, str], dialect: Dialect) -> str:
    """Return the command line that imports the files with a mapping."""
    words = ["segue", "data", "import", "parquet"]
    for name, given in paths.items():
        for path in given:
            words += [f"--{name}", str(path)]
    for ours, theirs in mapping.items():
        words += ["--map", f"{ours}={theirs}"]
    for option, value in (("--separator", dialect.separator), ("--encoding", dialect.encoding)):
        words += [option, value] if value else []
    return " ".join(quoted(word) for word in words)


def quoted(word: str) -> str:
    """Quote a word for a shell; characters that a terminal would obey are escapes, as bash, zsh and ksh read them."""
    if visible(word) == word:
        return shlex.quote(word)
    escaped = [
        rf"\u{ord(char):04x}" if visible(char) != char else f"\\{char}" if char in "\\'" else char for char in word
    ]
    return f"$'{''.join(escaped)}'"
