"""A run's own copy of the log: three files in order of time, and the one cut of all models."""

from pathlib import Path

import pyarrow.parquet as pq

from events.dataset import load
from events.splits import Split, cut
from segue.files import read_json, write_json

SPLIT, MANIFEST = "split.json", "manifest.json"


def ingest(data: Path, out: Path, fractions: tuple[float, float, float]) -> dict:
    """Copy the imported data set into a run and cut it by global time.

    Args:
        data: the folder that `segue data import` wrote.
        out: a folder that does not stand yet.
        fractions: shares of the events for train, validation and test.

    Returns:
        The data set's manifest, with the cut under `split`.

    Raises:
        InputError: nothing is imported, or a part would be empty.
    """
    tables = load(data)
    events = tables.events()
    split = cut(events["ts"], fractions)
    out.mkdir(parents=True)
    for name, table in (("events", events), ("items", tables.items), ("users", tables.users)):
        pq.write_table(table, out / f"{name}.parquet", compression="zstd")
    manifest = {**tables.manifest, "split": split.to_dict()}
    write_json(out / SPLIT, split.to_dict())
    write_json(out / MANIFEST, manifest)
    return manifest


def read_split(ingested: Path) -> Split:
    """The cut of an ingested log."""
    return Split.from_dict(read_json(ingested / SPLIT))


def read_manifest(ingested: Path) -> dict:
    """The manifest of an ingested log."""
    return read_json(ingested / MANIFEST)
