"""The one place that reads the time. Logic takes a `datetime`; only edges call `utc_now`."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current instant, timezone-aware, UTC."""
    return datetime.now(UTC)
