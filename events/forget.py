"""Delete a listener from the imported data set."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events.dataset import identity, load, write
from events.imported import Imported


def forget(data: Path, user_id: str) -> dict[str, int]:
    """Delete a listener's rows from the data set in the folder `data`: as after an import of a log without them.

    Returns:
        The number of deleted rows of `users`, `events` and `quarantine`. If all are 0, nothing was written.

    Raises:
        InputError: no data set has been imported, or fewer than two listeners would be left.
    """
    tables = load(data)
    quarantine = tables.quarantine()
    others = [json.loads(record).get("user_id") != user_id for record in quarantine["record"].to_pylist()]
    before = {"users": tables.users, "events": tables.events(), "quarantine": quarantine}
    after = {name: before[name].filter(pc.not_equal(before[name]["user_id"], user_id)) for name in ("users", "events")}
    after["quarantine"] = quarantine.filter(pa.array(others, pa.bool_()))
    deleted = {name: before[name].num_rows - after[name].num_rows for name in before}
    if any(deleted.values()):
        # A log of its own, so that no training starts from weights that saw the listener.
        log = hashlib.sha256(f"{identity(tables.manifest)} without a listener".encode()).hexdigest()
        about = {"licence": tables.manifest.get("licence"), "rows_by_file": tables.manifest.get("files", {})}
        mapping = tuple(tables.manifest["mapping"])
        write(data, Imported(tables.manifest["dataset"], tables.items, mapping=mapping, log=log, **about, **after))
    return deleted
