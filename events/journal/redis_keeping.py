"""Keep the journal in Redis Streams of pages, feedback and dislikes; a hash finds a record by its key."""

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, cast

from events.journal.keeping import TOMBSTONES, RequestRecords, tombstone
from events.journal.records import DISLIKE, FEEDBACK, PAGE, Record
from segue.errors import InputError, UnavailableError
from stores import online_store
from stores.settings import Settings

MOST_RECORDS = 5_000_000  # of either kind
MOST_MEMORY = 0.8  # of the server's maxmemory; the rest is for the online store, which shares the server
CHUNK = 1000  # records that are read or deleted at once
NAME = "segue:{journal}"  # the braces keep all keys on one node of a cluster
STREAMS = {kind: f"{NAME}:{kind}" for kind in (PAGE, FEEDBACK, DISLIKE)}
KEYS, IDENTITY, FORGOTTEN = f"{NAME}:keys", f"{NAME}:id", f"{NAME}:forgotten"
FULL = "JOURNALFULL"
FIRST = "0-0"
Entry = tuple[bytes, dict[bytes, bytes]]  # the place in the stream, and the fields of the record

# A script is one step for the server: the key is taken and the record written, or neither. ARGV: the limit, and then
# kind, key, request, listener, time and body of each record. The answer says of each whether it was new.
WRITE = f"""
local new = {{}}
local streams = {{{PAGE} = KEYS[2], {FEEDBACK} = KEYS[3], {DISLIKE} = KEYS[4]}}
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[1]) or redis.call('XLEN', KEYS[3]) >= tonumber(ARGV[1]) then
  return redis.error_reply('{FULL} it has its ' .. ARGV[1] .. ' records')
end
local memory = redis.call('INFO', 'memory')
local most = tonumber(string.match(memory, 'maxmemory:(%d+)'))
if most > 0 and tonumber(string.match(memory, 'used_memory:(%d+)')) > {MOST_MEMORY} * most then
  return redis.error_reply('{FULL} its server uses more than {MOST_MEMORY:.0%} of its maxmemory')
end
for i = 2, #ARGV, 6 do
  local field = ARGV[i] .. ':' .. ARGV[i + 1]
  if redis.call('HEXISTS', KEYS[1], field) == 1 then
    new[#new + 1] = 0
  else
    local place = redis.call('XADD', streams[ARGV[i]], '*', 'key', ARGV[i + 1], 'request_id', ARGV[i + 2],
                             'user_id', ARGV[i + 3], 'ts', ARGV[i + 4], 'body', ARGV[i + 5])
    redis.call('HSET', KEYS[1], field, place)
    new[#new + 1] = 1
  end
end
return new
"""


class RedisKeeping:
    """Keeps the journal in the online store's server. It is as durable as the server's append-only file.

    Args:
        settings: The settings, with the address.
        most_records: The number of pages, or of feedback, from which on no further record is taken. Nor is one taken
            while the server uses more than `MOST_MEMORY` of its maxmemory, so that the online store keeps its share.
    """

    def __init__(self, settings: Settings, most_records: int = MOST_RECORDS) -> None:
        self._settings, self._most_records = settings, most_records
        self._client = online_store.connect(settings)
        self._script = self._client.register_script(WRITE)

    def check_durable(self) -> None:
        """Check that the server writes records to its disk before it answers.

        Raises:
            InputError: It does not.
        """
        with self._faults():
            if not cast(dict[str, Any], self._client.info("persistence"))["aof_enabled"]:
                raise InputError(
                    "The journal needs a server that writes to its disk before it answers. Its appendonly is off.",
                    "Start the online store with `appendonly yes`.",
                )

    def identity(self) -> str:
        """Return the id of the journal on this server (see `Keeping`)."""
        with self._faults():
            if not self._client.exists(IDENTITY):  # a server without memory takes no write, and is collected
                self._client.set(IDENTITY, uuid.uuid4().hex, nx=True)
            return cast(bytes, self._client.get(IDENTITY)).decode()

    def write(self, records: Sequence[Record]) -> list[bool]:
        """Write records in one step of the server (see `Keeping`)."""
        arguments = [value for r in records for value in (r.kind, r.key, r.request_id, r.user_id, r.ts, r.body)]
        with self._faults():
            new = self._script(keys=[KEYS, *STREAMS.values()], args=[self._most_records, *arguments])
        return [bool(one) for one in cast(list[int], new)]

    def page(self, request_id: str) -> bytes | None:
        """Return the body of a request's page (see `Keeping`)."""
        with self._faults():
            place = cast(bytes | None, self._client.hget(KEYS, f"{PAGE}:{request_id}"))
            return self._bodies([place])[0]

    def newest(self) -> str:
        """Return the cursor of the newest record: the last places of both streams (see `Keeping`)."""
        with self._faults():
            newest = [cast(list[Entry], self._client.xrevrange(STREAMS[kind], count=1)) for kind in (PAGE, FEEDBACK)]
        return " ".join(entries[0][0].decode() if entries else FIRST for entries in newest)

    def ahead(self, after: str, count: int, until: str) -> str:
        """Return a cursor further on (see `Keeping`)."""
        ends = []
        for kind, first, last in zip((PAGE, FEEDBACK), places(after), places(until), strict=True):
            some = [place for place, _ in islice(self._entries(kind, first, last), count)]
            # The record at the last place may be gone by now.
            ends.append(some[-1].decode() if len(some) == count else last)
        return " ".join(ends)

    def changed(self, after: str, until: str | None = None) -> Iterator[RequestRecords]:
        """Yield the requests that have changed (see `Keeping`). The feedback of these requests is held meanwhile."""
        limits = zip((PAGE, FEEDBACK), places(after), places(self.newest() if until is None else until), strict=True)
        new = {record[b"request_id"] for kind, first, last in limits for _, record in self._entries(kind, first, last)}
        feedback: dict[bytes, list[bytes]] = {}
        for _, record in self._entries(FEEDBACK):
            if record[b"request_id"] in new:
                feedback.setdefault(record[b"request_id"], []).append(record[b"body"])
        for request_ids in chunks(list(feedback)):
            with self._faults():
                fields = [f"{PAGE}:{request_id.decode()}" for request_id in request_ids]
                bodies = self._bodies(cast(list, self._client.hmget(KEYS, fields)))
            for request_id, body in zip(request_ids, bodies, strict=True):
                yield RequestRecords(request_id.decode(), body, feedback[request_id])

    def feedback(self, after: str) -> Iterator[bytes]:
        """Yield the feedback after a cursor (see `Keeping`)."""
        for _, record in self._entries(FEEDBACK, places(after)[1]):
            yield record[b"body"]

    def forget(self, user_id: str) -> int:
        """Delete a listener's records (see `Keeping`). The server's file loses them when it is next rewritten."""
        from redis.exceptions import ResponseError

        theirs, gone = user_id.encode(), tombstone(self.identity(), user_id)
        count = sum(
            self._delete(kind, [entry for entry in self._entries(kind) if entry[1][b"user_id"] == theirs])
            for kind in STREAMS
        )
        with self._faults():
            self._client.xadd(FORGOTTEN, {"tombstone": gone}, maxlen=TOMBSTONES)
        if count:
            with self._faults(), contextlib.suppress(ResponseError):  # one is under way, or the server does not let us
                self._client.bgrewriteaof()
        return count

    def forgotten(self) -> dict[str, str]:
        """Return the newest tombstones (see `Keeping`)."""
        with self._faults():
            entries = cast(list[Entry], self._client.xrange(FORGOTTEN))
        return {place.decode(): fields[b"tombstone"].decode() for place, fields in entries}

    def dislikes(self, after: str) -> tuple[list[bytes], str]:
        """Return the dislikes after a place (see `Keeping`)."""
        with self._faults():
            entries = cast(list[Entry], self._client.xrange(STREAMS[DISLIKE], min=f"({after}" if after else "-"))
        return [fields[b"body"] for _, fields in entries], entries[-1][0].decode() if entries else after

    def drop(self, before: int, until: str) -> int:
        """Delete old requests (see `Keeping`)."""
        page_until, feedback_until = map(order, places(until))
        pages = {}
        for entry in self._entries(PAGE):
            if order(entry[0]) <= page_until and int(entry[1][b"ts"]) < before:
                pages[entry[1][b"request_id"]] = (entry[0], {b"key": entry[1][b"key"]})
        old: list[Entry] = []
        for entry in self._entries(FEEDBACK):
            if order(entry[0]) > feedback_until:
                break
            request_id = entry[1][b"request_id"]
            if request_id in pages or (int(entry[1][b"ts"]) < before and not self._has_page(request_id)):
                old.append(entry)
        return self._delete(FEEDBACK, old) + self._delete(PAGE, list(pages.values()))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _has_page(self, request_id: bytes) -> bool:
        with self._faults():
            return bool(self._client.hexists(KEYS, f"{PAGE}:{request_id.decode()}"))

    def _entries(self, kind: str, after: str = FIRST, until: str = "+") -> Iterator[Entry]:
        """Yield the entries of a stream after a place, up to another one, oldest first."""
        while True:
            with self._faults():
                some = self._client.xrange(STREAMS[kind], min=f"({after}", max=until, count=CHUNK)
            entries = cast(list[Entry], some)
            yield from entries
            if len(entries) < CHUNK:
                return
            after = entries[-1][0].decode()

    def _bodies(self, pages: list[bytes | None]) -> list[bytes | None]:
        """Return the bodies of pages by their places; None for a place that is None or empty."""
        pipeline = self._client.pipeline(transaction=False)
        known = [place for place in pages if place]
        for place in known:
            pipeline.xrange(STREAMS[PAGE], min=place, max=place)
        bodies = {
            place: entries[0][1][b"body"] if entries else None
            for place, entries in zip(known, pipeline.execute(), strict=True)
        }
        return [bodies.get(place) if place else None for place in pages]

    def _delete(self, kind: str, entries: list[Entry]) -> int:
        """Delete entries with their keys, and return their number."""
        for some in chunks(entries):
            with self._faults():
                pipeline = self._client.pipeline(transaction=True)
                pipeline.xdel(STREAMS[kind], *(place for place, _ in some))
                pipeline.hdel(KEYS, *(kind.encode() + b":" + record[b"key"] for _, record in some))
                pipeline.execute()
        return len(entries)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise the client's errors as errors for people."""
        from redis.exceptions import ResponseError

        with online_store.faults(self._settings):
            try:
                yield
            except ResponseError as error:
                if FULL not in str(error):
                    raise
                reason = str(error).partition(FULL)[2].strip().partition(" script:")[0]
                raise UnavailableError(
                    f"The journal takes no record: {reason}.",
                    "Run `segue data collect`, which removes old records, or give the server more memory.",
                ) from error


def places(cursor: str) -> list[str]:
    """Return the places of a cursor in the streams of pages and of feedback."""
    return cursor.split() or [FIRST, FIRST]


def order(place: str | bytes) -> tuple[int, int]:
    """Return a place as numbers, which sort as the stream does: milliseconds, and a count within them."""
    milliseconds, count = (place.decode() if isinstance(place, bytes) else place).split("-")
    return int(milliseconds), int(count)


def chunks(values: list[Any]) -> Iterator[list[Any]]:
    """Yield the values, `CHUNK` at a time."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
