"""A data set as an importer reads it: three tables, the origins of their rows, and the quarantined rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from events import quarantine
from events.journal.served import SCHEMA as SERVED
from events.origins import RowOrigins


@dataclass(frozen=True)
class Imported:
    """A data set before `events.dataset.write` checks and stores it.

    Args:
        dataset: Name of the data set, such as `movielens-100k`.
        items, users, events: Tables with the columns of `events.schema`. Other columns are kept.
        quarantine: Rows that the importer itself set aside (`quarantine.SCHEMA`).
        mapping: How the importer translated the files into the tables, one line for each rule.
        licence: The terms of the data set's publisher, for a public data set.
        rows_by_file: Numbers of rows read from each file, by table, if the user named the files.
        log: The identity of the log (`events.dataset.identity`). None compares the data set with the earlier one.
        world: Configuration and seed of a synthetic world whose listeners can be simulated further.
        collected: How far the journal was collected into the events (`events.journal.collect`), if it was.
        served: What pages that the journal collected were served with (`events.journal.served.SCHEMA`).
        origins: Origins of the rows, by table. A table without origins counts as a file of its own name.
    """

    dataset: str
    items: pa.Table
    users: pa.Table
    events: pa.Table
    quarantine: pa.Table = field(default_factory=quarantine.empty)
    mapping: tuple[str, ...] = ()
    licence: str | None = None
    rows_by_file: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    log: str | None = None
    world: Mapping[str, Any] | None = None
    collected: Mapping[str, str] | None = None
    served: pa.Table = field(default_factory=SERVED.empty_table)
    origins: Mapping[str, RowOrigins] = field(default_factory=dict)

    def origins_of(self, table: str) -> RowOrigins:
        """Return the origins of the rows of `items`, `users` or `events`."""
        return self.origins.get(table) or RowOrigins.of(table, getattr(self, table).num_rows)
