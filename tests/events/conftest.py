"""Tiny data sets for the tests of `events`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from events import schema
from events.imported import Imported

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def event() -> Callable[..., dict[str, Any]]:
    """`event(n)`: a play of `i0` with the id `e<n>`, n minutes after noon of 2026-01-05.

    The listener is `u0` if n is even, else `u1`.
    """

    def row(number: int, **values: Any) -> dict[str, Any]:
        return {
            "event_id": f"e{number}",
            "user_id": f"u{number % 2}",
            "item_id": "i0",
            "ts": NOON + timedelta(minutes=number),
            "action": "play",
            **values,
        }

    return row


@pytest.fixture(scope="session")
def imported() -> Callable[..., Imported]:
    """`imported(events)`: a data set of these events, the item `i0` and the users `u0` and `u1`."""

    def build(events: list[dict[str, Any]], **tables: pa.Table) -> Imported:
        defaults = {
            "items": pa.table({"item_id": ["i0"], "title": ["Amber River"]}),
            "users": pa.table({"user_id": ["u0", "u1"]}),
            "events": typed(events),
        }
        return Imported("tiny", **{**defaults, **tables})

    return build


def typed(events: list[dict[str, Any]]) -> pa.Table:
    """Return a table of these events. The canonical columns have the types of the contract."""
    names = {name: None for row in events for name in row}
    types = {field.name: field.type for field in schema.EVENTS}
    return pa.table({name: pa.array([row.get(name) for row in events], types.get(name)) for name in names})
