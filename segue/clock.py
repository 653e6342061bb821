"""The clock. Domain functions take a `datetime`; only commands and servers call `utc_now`."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current time, timezone-aware, in UTC."""
    return datetime.now(UTC)
