"""Store the imported data set in a folder, and open it again.

A data set is written beside the earlier one and then takes its place, so an import that fails leaves the earlier
data set as it was. The folder holds:

    items.parquet  users.parquet  quarantine.parquet  manifest.json
    served.parquet, if the journal collected pages with their features
    events/day=YYYY-MM-DD/part-0.parquet

The same tables give the same bytes, because no file says when or where the data set was imported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
import pyarrow.parquet as pq

from events import request_joins
from events.bulk.batches import Rows, in_parallel, rows_where
from events.checks import examine
from events.imported import Imported
from events.journal import served
from segue import files
from segue.errors import InputError
from segue.lock import latched

__all__ = ["Tables", "change", "continued", "identity", "load", "require", "write"]

DAY_US = 86_400_000_000
MANIFEST = "manifest.json"
TABLES = ("items", "users", "quarantine")
FIELDS = {"dataset", "counts", "span", "sha256"}  # every manifest has these fields
SERVED = "served.parquet"
FILES = (MANIFEST, SERVED, "items.parquet", "users.parquet", "quarantine.parquet", "events/day=*/*.parquet")


@dataclass(frozen=True)
class Tables:
    """A stored data set. Events are read only on request, because they may be large.

    Args:
        folder: The folder of the data set.
        items, users: Tables with the columns of `events.schema`.
        events_files: The events' files, in the order of the days. They are a list, because DuckDB would take a folder
            named `[v2]` for a pattern.
        manifest: The manifest that `write` returned.
    """

    folder: Path
    items: pa.Table
    users: pa.Table
    events_files: list[str]
    manifest: dict[str, Any]

    def events(self) -> pa.Table:
        """Read all events, sorted by `(ts, event_id)`."""
        return pds.dataset(self.events_files, format="parquet").to_table()

    def quarantine(self) -> pa.Table:
        """Read the quarantined rows (`events.quarantine.SCHEMA`)."""
        return pq.read_table(self.folder / "quarantine.parquet")

    def served(self) -> pa.Table:
        """Read the features that pages were served with (`events.journal.served.SCHEMA`)."""
        path = self.folder / SERVED
        return pq.read_table(path) if path.is_file() else served.SCHEMA.empty_table()


def write(data: Path, imported: Imported, latest: datetime | None = None) -> dict[str, Any]:
    """Check a data set and store it in the folder `data`, in place of an earlier one.

    Args:
        data: The target folder. It is replaced as a whole, or left as it was.
        imported: The data set as read.
        latest: The latest allowed time (UTC, inclusive). None allows any later time.

    Returns:
        The manifest: `dataset`, `licence`, `mapping`, `files` (rows read from each), `world` (of a
        synthetic world that can be simulated), `counts`, `actions`, `span`,
        `quarantine_reasons`, `sha256` and `log` (see `identity`).

    Raises:
        InputError: The data set breaks a rule of `events.checks` that stops an import, or the folder `data` holds
            files that no import wrote.
    """
    files.require_own(data, MANIFEST, FIELDS, FILES)
    checked, kept = examine(imported, latest)
    with latched(data):
        return replace(data, checked, kept)


def change(data: Path, edit: Callable[[Tables | None], Imported | None]) -> dict[str, Any] | None:
    """Replace the data set in the folder `data` by what `edit` makes of it. Nobody else changes it meanwhile.

    Args:
        data: The folder.
        edit: Takes the data set, or None if there is none, and returns the new one, or None to leave all as it is.

    Returns:
        The new manifest, or None.

    Raises:
        InputError: As `write`.
    """
    files.require_own(data, MANIFEST, FIELDS, FILES)
    with latched(data):
        files.remove_unfinished(data.resolve().parent, data.resolve().name)  # an import may have been killed
        edited = edit(load(data) if (data / MANIFEST).is_file() else None)
        return None if edited is None else replace(data, *examine(edited))


def continued(tables: Tables, events: pa.Table, log: str | None, **changes: Any) -> Imported:
    """Return a stored data set as an import with other events.

    Args:
        tables: The stored data set.
        events: The new events.
        log: The identity of the new log.
        changes: Further fields of `Imported` that differ.
    """
    manifest = tables.manifest
    unjoined = request_joins.sentence(request_joins.count(tables.events()))  # the check counts again
    return Imported(**{
        "dataset": manifest["dataset"],
        "items": tables.items,
        "users": tables.users,
        "events": events,
        "quarantine": tables.quarantine(),
        "served": tables.served(),
        "mapping": tuple(line for line in manifest["mapping"] if line != unjoined),
        "licence": manifest.get("licence"),
        "rows_by_file": manifest.get("files", {}),
        "log": log,
        "world": manifest.get("world"),
        "collected": manifest.get("collected"),
        **changes,
    })  # fmt: skip


def replace(data: Path, checked: Imported, kept: np.ndarray) -> dict[str, Any]:
    """Store a checked data set, and its events where a mask is true, in the folder `data`, whose lock is held.

    Returns:
        The manifest.
    """
    with files.atomic_path(data) as temporary:
        temporary.mkdir()
        for name in TABLES:
            pq.write_table(getattr(checked, name), temporary / f"{name}.parquet", compression="zstd")
        if checked.served.num_rows:
            pq.write_table(checked.served, temporary / SERVED, compression="zstd")
        write_days(checked.events, kept, temporary / "events")
        summary = {**manifest(checked, kept), "sha256": files.tree_sha256(temporary)}
        earlier = identity(files.read_json(data / MANIFEST)) if continues(temporary, data) else None
        summary["log"] = checked.log or earlier or summary["sha256"]
        if checked.collected:
            summary["collected"] = dict(checked.collected)
        files.write_json(temporary / MANIFEST, summary)
    return summary


def identity(manifest: dict[str, Any]) -> str | None:
    """Return the identity of the log that a data set, or a model made from it, comes from; None if it names none.

    It is the checksum of the log's first import. Later imports that continue the log keep it, so that models and
    statistics of one log compare; its name says nothing, because another log's file may have the same name.
    """
    return manifest.get("log") or manifest.get("sha256")


def continues(new: Path, earlier: Path) -> bool:
    """Whether a data set continues an earlier one: on the first or the last day that both have, half the events agree.

    Two days are compared, because a window that slides cuts the first, and a correction may change the last.
    """
    folders = [{path.name: path for path in (data / "events").glob("day=*")} for data in (new, earlier)]
    common = sorted(folders[0].keys() & folders[1].keys())
    return any(agree(folders[0][day], folders[1][day]) for day in {*common[:1], *common[-1:]})


def agree(new: Path, earlier: Path) -> bool:
    """Whether two folders of one day share at least half of the events of the smaller."""
    keys = [
        set(map(tuple, pds.dataset(folder, format="parquet").to_table(["user_id", "item_id", "ts"]).to_pandas().values))
        for folder in (new, earlier)
    ]
    return 2 * len(keys[0] & keys[1]) >= min(map(len, keys))


def require(data: Path) -> None:
    """Check that a data set was imported into the folder `data`.

    Raises:
        InputError: The folder holds no data set.
    """
    if not (data / MANIFEST).is_file():
        files.remove_unfinished(data.resolve().parent, data.resolve().name)  # an import may have been killed
    if not (data / MANIFEST).is_file():
        raise InputError(
            "No data set has been imported.",
            "Run `segue data import …` first, for instance `segue data import synthetic --size nano`.",
        )


def load(data: Path) -> Tables:
    """Open the data set in the folder `data`.

    Raises:
        InputError: The folder holds no data set.
    """
    require(data)
    return Tables(
        folder=data,
        items=pq.read_table(data / "items.parquet"),
        users=pq.read_table(data / "users.parquet"),
        events_files=sorted(str(path) for path in data.glob("events/day=*/*.parquet")),
        manifest=files.read_json(data / MANIFEST),
    )


def write_days(events: pa.Table, kept: np.ndarray, folder: Path) -> None:
    """Write the events where a mask is true to one file for each UTC day, in the order of `(ts, event_id)`.

    Ids have no dictionaries: they repeat little within a day, and files without them are 20 % smaller and are written
    in two thirds of the time.
    """
    times = microseconds(events)
    positions = np.flatnonzero(kept)
    days = (times // DAY_US).astype(np.int32)[positions]
    by_day = np.argsort(days, kind="stable")
    positions, days = positions[by_day], days[by_day]
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    rows, ids = Rows(events), Rows(events.select(["event_id"]))

    def write_day(span: tuple[int, int]) -> None:
        target = folder / f"day={np.datetime64(int(days[span[0]]), 'D')}"
        target.mkdir(parents=True)
        day = rows.take(ordered(positions[slice(*span)], times, ids))
        pq.write_table(
            day,
            target / "part-0.parquet",
            compression="zstd",
            use_dictionary=[name for name in day.column_names if name != "ts" and not name.endswith("_id")],
            column_encoding={"ts": "DELTA_BINARY_PACKED"},
        )

    ends = [*starts[1:].tolist(), len(days)]
    for _ in in_parallel(write_day, list(zip(starts.tolist(), ends, strict=True))):
        pass


def ordered(positions: np.ndarray, times: np.ndarray, ids: Rows) -> np.ndarray:
    """Return the positions of some events in the order of `(ts, event_id)`, from the times and ids of all events."""
    order = positions[np.argsort(times[positions], kind="stable")]
    same = np.diff(times[order]) == 0
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))  # places whose order the ids decide
    if len(tied):
        rows = order[tied]
        keys = ids.take(rows).append_column("ts", pa.array(times[rows]))
        order[tied] = rows[pc.sort_indices(keys, [("ts", "ascending"), ("event_id", "ascending")]).to_numpy()]
    return order


def microseconds(events: pa.Table) -> np.ndarray:
    """Return the times of the events in microseconds since 1970."""
    return events["ts"].cast(pa.int64()).to_numpy()


def manifest(checked: Imported, kept: np.ndarray) -> dict[str, Any]:
    """Return the manifest of a data set after the checks, whose events are kept where a mask is true."""
    events = rows_where(checked.events.select(["ts", "action"]), kept)
    span = pc.min_max(events["ts"]).as_py()
    return {
        "dataset": checked.dataset,
        "licence": checked.licence,
        "mapping": list(checked.mapping),
        "files": checked.rows_by_file,
        **({"world": dict(checked.world)} if checked.world else {}),
        "counts": {
            "items": checked.items.num_rows,
            "users": checked.users.num_rows,
            "events": events.num_rows,
            "quarantined": checked.quarantine.num_rows,
        },
        "actions": counts(events["action"]),
        "span": {"first": span["min"].isoformat(), "last": span["max"].isoformat()},
        "quarantine_reasons": counts(checked.quarantine["reason"]),
    }


def counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Count how often each value occurs, most frequent first."""
    pairs = [(row["values"], row["counts"]) for row in pc.value_counts(column).to_pylist()]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], str(pair[0]))))
