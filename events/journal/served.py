"""The features that pages were served with: a sample of each day, which a data set keeps beside its events.

`segue monitor` holds them against the join that training makes.
"""

import hashlib
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pyarrow as pa

from events import schema

SCHEMA = pa.schema([
    pa.field("request_id", pa.string()),
    pa.field("user_id", pa.string()),
    pa.field("ts", schema.TIMESTAMP),  # the moment of the decision
    pa.field("served", pa.string()),  # the features of the listener and the session, a JSON object
])  # fmt: skip
A_DAY = 1000  # requests of a UTC day
SPAN = timedelta(days=7)  # until the newest request


def sample(served: pa.Table) -> pa.Table:
    """Return the rows that a data set keeps: of each day of the `SPAN`, the `A_DAY` requests with the smallest hashes.

    So the rows depend neither on how often the journal was collected, nor on the order in which its records came.

    Args:
        served: Rows of `SCHEMA`, each of another request.

    Returns:
        The rows, sorted by time and request.
    """
    rows = served.to_pylist()
    newest = max((row["ts"] for row in rows), default=schema.EARLIEST)
    days: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["ts"] > newest - SPAN:
            days[row["ts"].date()].append(row)
    kept = [row for day in days.values() for row in sorted(day, key=place)[:A_DAY]]
    return pa.Table.from_pylist(sorted(kept, key=lambda row: (row["ts"], row["request_id"])), SCHEMA)


def place(row: dict[str, Any]) -> bytes:
    """Return the place of a request in the order of the sample: the SHA-256 of its id."""
    return hashlib.sha256(row["request_id"].encode()).digest()
