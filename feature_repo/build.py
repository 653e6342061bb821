"""Build every feature table of a log: one Parquet file per Feast view, and `item_content` for the models' catalogue."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _
from ibis.expr.types import Table

from events.schema import EARLIEST
from feature_repo import transformations
from feature_repo.engine import duckdb_engine, read_parquet, write
from segue.errors import InputError
from segue.files import atomic_path, read_json, write_json

MAX_GENRES = 24
MAX_CONTENT_TYPES = 8


@dataclass(frozen=True)
class Vocabularies:
    """The genres and content types that the share vectors count, in the order of their entries.

    Attributes:
        genres: at most 24.
        content_types: at most 8.
        log: the identity of the log that they were begun with (`events.dataset.identity`).
    """

    genres: list[str]
    content_types: list[str]
    log: str | None = None

    def continues(self, earlier: "Vocabularies") -> bool:
        """Whether each entry of earlier vocabularies has its place here, or they are those of another log."""
        return self.log != earlier.log or (
            self.genres[: len(earlier.genres)] == earlier.genres
            and self.content_types[: len(earlier.content_types)] == earlier.content_types
        )


def vocabularies(items: pa.Table, log: str | None = None, earlier: Vocabularies | None = None) -> Vocabularies:
    """Return the vocabularies of a catalogue: all entries of the earlier ones, then the most frequent others by name.

    Models know a genre by its position, so an entry keeps its place as long as the log goes on, even if no item has
    the genre any more. A model that is older than an entry is sent only the entries before it.

    Args:
        items: the catalogue.
        log: the identity of its log.
        earlier: the vocabularies that are online. Those of another log do not count.
    """
    if earlier is None or earlier.log != log:
        earlier = Vocabularies([], [], log)

    def extended(kept: list[str], values: Iterable[str | None], limit: int) -> list[str]:
        counts = Counter(v for v in values if v and v not in kept)
        new = sorted(counts, key=lambda v: (-counts[v], v))[: limit - len(kept)]
        return [*kept, *sorted(new)] or ["unknown"]

    genres = (genre for row in items["genres"].to_pylist() for genre in row or [])
    return Vocabularies(
        extended(earlier.genres, genres, MAX_GENRES),
        extended(earlier.content_types, items["content_type"].to_pylist(), MAX_CONTENT_TYPES),
        log,
    )


def last_complete_day(last: datetime) -> int:
    """Return the number of the day before the last event's day, which may still be running."""
    return math.floor(last.timestamp() / transformations.DAY_SECONDS) - 1


def feature_tables(events: Table, items: Table, users: Table, axes: Vocabularies, last_day: int) -> dict[str, Table]:
    """Return the expression that computes each table, by table name: one per Feast view, and `item_content`."""
    return {
        "user_profile": transformations.user_profile(users, EARLIEST),
        "user_daily": transformations.user_daily(events, items, axes.genres, axes.content_types, last_day),
        "user_history": transformations.user_history(events, last_day),
        "session_context": transformations.session_context(events, last_day),
        "item_profile": transformations.item_profile(items, axes.genres, axes.content_types, EARLIEST),
        "item_content": transformations.item_content(items),
        "item_daily": transformations.item_daily(events, items, last_day),
    }


def build(ingested: Path, tables: Path, until: datetime | None = None, axes: Vocabularies | None = None) -> dict:
    """Build the feature tables of an ingested log in the folder `tables`. A failed build leaves the folder as it was.

    Args:
        ingested: a folder with `events.parquet`, `items.parquet` and `users.parquet`.
        tables: the folder to write; an existing folder is replaced.
        until: the instant up to which the log is complete; None for its last event. At midnight a log is complete
            to the end of the day that has just passed, and its snapshot serves the day that begins.
        axes: the vocabularies; None for those of the log's items alone.

    Returns:
        The manifest that is also written to the folder: vocabularies, last complete day, rows of each table.

    Raises:
        InputError: the log has no events.
    """
    axes = axes or vocabularies(pq.read_table(ingested / "items.parquet", columns=["genres", "content_type"]))
    with duckdb_engine() as engine, atomic_path(tables) as folder:
        folder.mkdir()
        events, items, users = (
            read_parquet(engine, ingested / f"{name}.parquet") for name in ("events", "items", "users")
        )
        last = engine.to_pyarrow(events.aggregate(last=_.ts.max()))["last"][0].as_py()
        if last is None:
            raise InputError("Features need at least one event; the log has none.", "Import a log with events.")
        last_day = last_complete_day(max(last, until or last))
        expressions = feature_tables(events, items, users, axes, last_day)
        for name, expression in expressions.items():
            write(expression, folder / f"{name}.parquet")
        rows = {name: pq.read_metadata(folder / f"{name}.parquet").num_rows for name in expressions}
        manifest = {**asdict(axes), "last_day": last_day, "rows": rows}
        write_json(folder / "manifest.json", manifest)
    return manifest


def load_manifest(tables: Path) -> dict:
    """Read the manifest that `build` wrote."""
    return read_json(tables / "manifest.json")


def axes_of(manifest: dict) -> Vocabularies:
    """Return the vocabularies of the manifest that `build` wrote; an earlier version named no log."""
    return Vocabularies(manifest["genres"], manifest["content_types"], manifest.get("log"))
