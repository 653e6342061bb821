"""Keep the journal in a file: SQLite in WAL mode. Several processes may write to it."""

import contextlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from events.journal.keeping import TOMBSTONES, RequestRecords, tombstone
from events.journal.records import DISLIKE, FEEDBACK, PAGE, Record
from segue.errors import InputError, UnavailableError
from segue.lock import latched

MOST_BYTES = 16 * 2**30  # of the database; a Home page of the demo takes about 8 kB
PAGE_BYTES = 8192
WAIT_SECONDS = 10  # for another process that writes
TURN_SECONDS = 0.1  # between two deletions; SQLite looks this often whether it is the turn of a process that waits
CHUNK = 2000  # requests that are read or deleted at once

SCHEMA = """
create table if not exists journal (id text not null);
create table if not exists records (
    seq integer primary key autoincrement,
    kind text not null, key text not null, request_id text not null, user_id text not null,
    ts integer not null, body blob not null,
    unique (kind, key)
);
create index if not exists records_by_request on records (request_id);
create table if not exists dislikes (
    seq integer primary key autoincrement, key text not null unique, user_id text not null, body blob not null
);
create index if not exists dislikes_by_user on dislikes (user_id);
create table if not exists forgotten (seq integer primary key autoincrement, tombstone text not null);
"""
INSERT = """
insert into records (kind, key, request_id, user_id, ts, body) values (?, ?, ?, ?, ?, ?)
on conflict (kind, key) do nothing
"""
INSERT_DISLIKE = "insert into dislikes (key, user_id, body) values (?, ?, ?) on conflict (key) do nothing"
CHANGED = f"""
select distinct request_id from records new where seq > ? and seq <= ?
and exists (select 1 from records where request_id = new.request_id and kind = '{FEEDBACK}')
"""
AHEAD = "select max(seq) from (select seq from records where seq > ? and seq <= ? order by seq limit ?)"
NEW_FEEDBACK = "select seq, body from records where kind = ? and seq > ? order by seq limit ?"
OLD_PAGES = f"select request_id from records where kind = '{PAGE}' and ts < ? and seq <= ?"
OLD_ORPHANS = f"""
select seq from records where kind = '{FEEDBACK}' and ts < ? and seq <= ?
and request_id not in (select request_id from records where kind = '{PAGE}')
"""


class SqliteKeeping:
    """Keeps the journal in the file `path`, which is made if it does not exist.

    Args:
        path: The database.
        most_bytes: The size from which on it takes no further record.

    Raises:
        InputError: The file is no journal, or is damaged.
        UnavailableError: The disk is full, or another process holds the file.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        with latched(path), self._faults():
            self._writing, self._reading = self._connect(), self._connect()
            self._writing.execute(f"pragma max_page_count = {most_bytes // PAGE_BYTES}")
            self._writing.executescript(SCHEMA)
            if not self._writing.execute("select id from journal").fetchone():
                self._writing.execute("insert into journal values (?)", [uuid.uuid4().hex])
        self._lock = threading.Lock()  # of the connection that reads, which several threads use

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute(f"pragma page_size = {PAGE_BYTES}")
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")  # a commit waits for the disk, also where power may fail
        connection.execute("pragma secure_delete = on")  # a forgotten listener's records are overwritten
        return connection

    def identity(self) -> str:
        """Return the id of this database (see `Keeping`)."""
        return str(self._read("select id from journal")[0][0])

    def write(self, records: Sequence[Record]) -> list[bool]:
        """Write records in one transaction (see `Keeping`)."""
        with self._faults(), self._transaction() as connection:
            return [
                (
                    connection.execute(INSERT_DISLIKE, (r.key, r.user_id, r.body))
                    if r.kind == DISLIKE
                    else connection.execute(INSERT, (r.kind, r.key, r.request_id, r.user_id, r.ts, r.body))
                ).rowcount
                == 1
                for r in records
            ]

    def page(self, request_id: str) -> bytes | None:
        """Return the body of a request's page (see `Keeping`)."""
        rows = self._read("select body from records where kind = ? and key = ?", PAGE, request_id)
        return rows[0][0] if rows else None

    def newest(self) -> str:
        """Return the cursor of the newest record: its number (see `Keeping`)."""
        return str(self._read("select coalesce(max(seq), 0) from records")[0][0])

    def ahead(self, after: str, count: int, until: str) -> str:
        """Return a cursor further on (see `Keeping`)."""
        return str(self._read(AHEAD, number(after), number(until), count)[0][0] or until)

    def changed(self, after: str, until: str | None = None) -> Iterator[RequestRecords]:
        """Yield the requests that have changed (see `Keeping`)."""
        last = number(self.newest() if until is None else until)
        request_ids = [request_id for (request_id,) in self._read(CHANGED, number(after), last)]
        for start in range(0, len(request_ids), CHUNK):
            chunk = request_ids[start : start + CHUNK]
            requests = {request_id: RequestRecords(request_id, None, []) for request_id in chunk}
            marks = ", ".join("?" * len(chunk))
            query = f"select request_id, kind, body from records where request_id in ({marks}) order by seq"
            for request_id, kind, body in self._read(query, *chunk):
                if kind == PAGE:
                    requests[request_id] = requests[request_id]._replace(page=body)
                else:
                    requests[request_id].feedback.append(body)
            yield from requests.values()

    def feedback(self, after: str) -> Iterator[bytes]:
        """Yield the feedback after a cursor (see `Keeping`)."""
        last = number(after)
        while rows := self._read(NEW_FEEDBACK, FEEDBACK, last, CHUNK):
            yield from (body for _, body in rows)
            last = rows[-1][0]

    def forget(self, user_id: str) -> int:
        """Delete a listener's records and overwrite their bytes (see `Keeping`)."""
        gone = tombstone(self.identity(), user_id)
        with self._faults():
            with self._transaction() as connection:
                count = sum(
                    connection.execute(f"delete from {table} where user_id = ?", [user_id]).rowcount
                    for table in ("records", "dislikes")
                )
                last = connection.execute("insert into forgotten (tombstone) values (?)", [gone]).lastrowid
                connection.execute("delete from forgotten where seq <= ? - ?", [last, TOMBSTONES])
            self._writing.execute("pragma wal_checkpoint(truncate)")  # the log of writes has the bytes too
            return count

    def forgotten(self) -> dict[str, str]:
        """Return the newest tombstones (see `Keeping`)."""
        return {str(place): gone for place, gone in self._read("select seq, tombstone from forgotten")}

    def dislikes(self, after: str) -> tuple[list[bytes], str]:
        """Return the dislikes after a place (see `Keeping`)."""
        rows = self._read("select seq, body from dislikes where seq > ? order by seq", number(after))
        return [body for _, body in rows], str(rows[-1][0]) if rows else after

    def drop(self, before: int, until: str) -> int:
        """Delete old requests (see `Keeping`)."""
        last = number(until)
        requests = [request_id for (request_id,) in self._read(OLD_PAGES, before, last)]
        orphans = [seq for (seq,) in self._read(OLD_ORPHANS, before, last)]
        return self._delete("request_id", requests, last) + self._delete("seq", orphans, last)

    def _delete(self, column: str, values: list, last: int) -> int:
        """Delete the records up to a number that have one of these values, and return how many."""
        count = 0
        for start in range(0, len(values), CHUNK):
            if start:
                time.sleep(TURN_SECONDS)
            chunk = values[start : start + CHUNK]
            marks = ", ".join("?" * len(chunk))
            with self._faults(), self._transaction() as connection:
                delete = f"delete from records where seq <= ? and {column} in ({marks})"
                count += connection.execute(delete, [last, *chunk]).rowcount
        return count

    def close(self) -> None:
        """Close the database."""
        self._writing.close()
        self._reading.close()

    def _read(self, query: str, *values: object) -> list[tuple]:
        with self._lock, self._faults():
            return self._reading.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Write within the body; what it has written is durable afterwards, or undone if it raises."""
        self._writing.execute("begin immediate")
        try:
            yield self._writing
            self._writing.execute("commit")
        except BaseException:
            if self._writing.in_transaction:  # a full disk may have ended it
                self._writing.execute("rollback")
            raise

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise SQLite's errors as errors for people."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UnavailableError(
                f"The journal {self._path} takes no record now: {error}.",
                "Run `segue data collect`, which removes old records, or give it room on the disk.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self._path} must be a journal: {error}.", "Move the file away.") from error


def number(cursor: str) -> int:
    """Return a cursor as a number."""
    return int(cursor or 0)
