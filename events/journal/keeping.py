"""What a keeping of the journal does, whichever server or file it writes to."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from events.journal.records import Record


class RequestRecords(NamedTuple):
    """All that a keeping has of a request: its page, or None, and its feedback in the order in which it came."""

    request_id: str
    page: bytes | None
    feedback: list[bytes]


TOMBSTONES = 1000  # of the listeners who were forgotten last


def tombstone(identity: str, user_id: str) -> str:
    """Return what stands for a forgotten listener: a hash of the id with that of the journal, from which no id follows.

    Processes that remember listeners compare it with those whom they remember.
    """
    return hashlib.sha256(f"{identity} {user_id}".encode()).hexdigest()


class Keeping(Protocol):
    """Keeps records in the order in which they came.

    A cursor is a place in that order, as text; the empty text is the place before the first record. All methods raise
    UnavailableError if the keeping does not answer or is full.
    """

    def identity(self) -> str:
        """Return the id that the keeping was given when it was made. Cursors of another id mean nothing here."""
        ...

    def write(self, records: Sequence[Record]) -> list[bool]:
        """Write records, all or none; they are durable on return.

        Returns:
            Whether each was new: no record of its kind had its key.
        """
        ...

    def page(self, request_id: str) -> bytes | None:
        """Return the body of a request's page, or None."""
        ...

    def newest(self) -> str:
        """Return the cursor of the newest record."""
        ...

    def changed(self, after: str) -> Iterator[RequestRecords]:
        """Yield each request that has feedback, and a record after a cursor, with all of its records."""
        ...

    def forget(self, user_id: str) -> int:
        """Delete a listener's records for good, leave a tombstone, and return the number of records."""
        ...

    def forgotten(self) -> dict[str, str]:
        """Return the tombstones of the listeners who were forgotten last, `TOMBSTONES` at most, by their places."""
        ...

    def dislikes(self, after: str) -> tuple[list[bytes], str]:
        """Return the bodies of the dislikes that came after a place, and the place of the last; '' is before all.

        They have no age: they stay until the listener is forgotten.
        """
        ...

    def drop(self, before: int, until: str) -> int:
        """Delete old requests, and return the number of records that are gone.

        A request goes as a whole once its page is old. Feedback without a page goes by its own time.

        Args:
            before: The time before which records are old, microseconds since 1970 UTC.
            until: The cursor of the last record that may go.
        """
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...
