"""Delete a listener from the imported data set."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from events.dataset import Tables, change, continued, identity, require
from events.imported import Imported


def forget(data: Path, user_id: str) -> dict[str, int]:
    """Delete a listener's rows from the data set in the folder `data`: as after an import of a log without them.

    Returns:
        The number of deleted rows of `users`, `events`, `served` and `quarantine`. If all are 0, nothing was written.

    Raises:
        InputError: no data set has been imported, or fewer than two listeners would be left.
    """
    require(data)
    deleted: dict[str, int] = {}

    def without(tables: Tables | None) -> Imported | None:
        assert tables is not None
        quarantine = tables.quarantine()
        others = [json.loads(record).get("user_id") != user_id for record in quarantine["record"].to_pylist()]
        before = {"users": tables.users, "events": tables.events(), "served": tables.served()}
        after = {name: table.filter(pc.not_equal(table["user_id"], user_id)) for name, table in before.items()}
        before["quarantine"] = quarantine
        after["quarantine"] = quarantine.filter(pa.array(others, pa.bool_()))
        deleted.update({name: before[name].num_rows - after[name].num_rows for name in before})
        if not any(deleted.values()):
            return None
        # A log of its own, so that no training starts from weights that saw the listener.
        log = hashlib.sha256(f"{identity(tables.manifest)} without a listener".encode()).hexdigest()
        return continued(tables, log=log, **after)

    change(data, without)
    return deleted
