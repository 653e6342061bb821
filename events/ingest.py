"""Copy the imported data set into a run and cut it by time.

A run works on its own copy, so a later import does not change the data under a running pipeline. All models of the
run share the one split.
"""

from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from events.dataset import load, require
from events.splits import Split, cut
from segue.files import read_json, write_json
from segue.lock import latched

SPLIT, MANIFEST = "split.json", "manifest.json"


def ingest(data: Path, out: Path, fractions: tuple[float, float, float]) -> dict:
    """Copy the imported data set into a run and cut it by global time.

    Args:
        data: The folder that `segue data import` wrote.
        out: The folder to write. It must not exist yet.
        fractions: Shares of the events for the train, validation and test spans.

    Returns:
        The manifest of the data set, with the split under `split`.

    Raises:
        InputError: No data set has been imported, or a span would have no events.
    """
    require(data)
    with latched(data):  # an import that ends now waits, so that the tables belong together
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


def complete_until(manifest: dict) -> datetime:
    """Return the instant up to which a log is complete: its last collection, or its last event if that is later."""
    instants = (manifest["span"]["last"], manifest.get("collected", {}).get("until"))
    return max(datetime.fromisoformat(instant) for instant in instants if instant)


def read_split(ingested: Path) -> Split:
    """Read the split that `ingest` wrote into the folder `ingested`."""
    return Split.from_dict(read_json(ingested / SPLIT))


def read_manifest(ingested: Path) -> dict:
    """Read the manifest that `ingest` wrote into the folder `ingested`."""
    return read_json(ingested / MANIFEST)
