"""What an importer hands to the store: three tables, where their rows came from, what was set aside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from events import quarantine


@dataclass(frozen=True)
class Source:
    """The file and row that each row of a table came from, so that an error can name them.

    Args:
        files: names of the files.
        file: `[rows]`, index into `files`.
        row: `[rows]`, 1-based row in that file, its header included: what an editor shows, unless a
            quoted value spans lines.
    """

    files: tuple[str, ...]
    file: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, name: str, rows: int, first: int = 1) -> "Source":
        """One file whose rows came in order; `first` is 2 below a header line."""
        return cls((name,), np.zeros(rows, np.int32), np.arange(first, first + rows))

    @classmethod
    def concat(cls, parts: list["Source"]) -> "Source":
        """The sources of tables that were put one below the other."""
        names = tuple(name for part in parts for name in part.files)
        offsets = np.cumsum([0] + [len(part.files) for part in parts])
        files = [part.file + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
        return cls(names, np.concatenate(files), np.concatenate([part.row for part in parts]))

    def take(self, rows: np.ndarray) -> "Source":
        """The source of the table's rows `rows` (positions or a mask)."""
        return Source(self.files, self.file[rows], self.row[rows])

    def at(self, position: int) -> tuple[str, int]:
        """File name and 1-based row of the table's row `position`."""
        return self.files[self.file[position]], int(self.row[position])

    @property
    def name(self) -> str:
        """The file, or the files, by name."""
        return ", ".join(self.files)


@dataclass(frozen=True)
class Imported:
    """A data set as read, before the store checks and writes it.

    Args:
        dataset: a name such as `movielens-100k`.
        items, users, events: tables by `events.schema`; columns beyond the schema are kept.
        quarantine: rows that the importer itself set aside (`quarantine.SCHEMA`).
        mapping: what was mapped to what, one line each.
        sources: the source of each table; a table without one is named after itself.
    """

    dataset: str
    items: pa.Table
    users: pa.Table
    events: pa.Table
    quarantine: pa.Table = field(default_factory=quarantine.empty)
    mapping: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)

    def source(self, table: str) -> Source:
        """The source of `items`, `users` or `events`."""
        return self.sources.get(table) or Source.of(table, getattr(self, table).num_rows)
