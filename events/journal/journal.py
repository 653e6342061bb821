"""The journal as its callers see it: records are handed over at once and written by one thread, many in a commit."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import islice

from events.journal.keeping import Keeping
from events.journal.records import (
    Dislike,
    Exposure,
    Feedback,
    Record,
    dislike_record,
    feedback_record,
    page_record,
    read_page,
)
from events.journal.redis_keeping import RedisKeeping
from events.journal.sqlite_keeping import SqliteKeeping
from segue.errors import UnavailableError
from segue.settings import Home
from stores.settings import Settings

WAITING_BYTES = 32 * 2**20  # of the records that may wait to be written: some 5,000 pages
GROUP_BYTES = 2 * 2**20  # of one commit
GATHER_SECONDS = 0.02  # in which a page waits for others: one commit takes as long for several
PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)  # seconds between the attempts of a commit; a server is back within them


class Journal:
    """Takes records and writes them in the order in which they came; so a listener's records keep their order.

    Args:
        keeping: Where they are kept.
        most_bytes: Bytes of records that may wait. Beyond, a record is refused at once.
    """

    def __init__(self, keeping: Keeping, most_bytes: int = WAITING_BYTES) -> None:
        self.keeping = keeping
        self._most_bytes = most_bytes
        self._waiting: deque[tuple[list[Record], int, Future[list[bool]]]] = deque()
        self._bytes = self._records = 0  # of what waits or is being written
        self._open, self._urgent = True, False  # urgent: somebody waits for what is to be written
        self.trouble: Exception | None = None  # why the last attempt to write failed
        self._changed = threading.Condition()
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def append(self, exposures: Sequence[Exposure]) -> Future[list[bool]]:
        """Write the exposures of one or several pages.

        Returns:
            A future that is done when they are durable: for each page whether it is new. The first page of a request
            id stays; a later one is not written.

        Raises:
            InputError: The exposures of a page contradict each other.
            UnavailableError: Too much waits to be written, or the journal is closed.
        """
        pages: dict[str, list[Exposure]] = {}
        for exposure in exposures:
            pages.setdefault(exposure.request_id, []).append(exposure)
        return self._put([page_record(page) for page in pages.values()], urgent=False)

    def record(self, feedback: Sequence[Feedback]) -> Future[list[bool]]:
        """Write feedback.

        Returns:
            A future that is done when it is durable: for each whether its event id is new. A known id counts for
            nothing.

        Raises:
            UnavailableError: Too much waits to be written, or the journal is closed.
        """
        return self._put([feedback_record(one) for one in feedback], urgent=True)

    def dislike(self, dislike: Dislike) -> Future[list[bool]]:
        """Write a dislike, or that one is withdrawn; errors and future as for `record`."""
        return self._put([dislike_record(dislike)], urgent=True)

    def exposures(self, request_id: str) -> list[Exposure]:
        """Return the exposures of a request in reading order; none if the journal does not have it.

        Raises:
            UnavailableError: The keeping does not answer.
        """
        body = self.keeping.page(request_id)
        return read_page(body) if body else []

    def backlog(self) -> int:
        """Return the number of records that are not yet durable; a page counts once."""
        return self._records

    def close(self) -> None:
        """Write what waits, and close the keeping."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._writer.join()
        self.keeping.close()

    def _put(self, records: list[Record], urgent: bool) -> Future[list[bool]]:
        future: Future[list[bool]] = Future()
        future.set_running_or_notify_cancel()  # from here on the records will be written, whoever waits
        size = sum(len(record.body) for record in records)
        with self._changed:
            if not self._open:
                raise UnavailableError("The journal is closed.", "Send the records again after the restart.")
            if self._bytes + size > self._most_bytes:
                raise UnavailableError(
                    f"At most {self._most_bytes / 2**20:.0f} MiB of records wait for the journal. "
                    f"{self._bytes / 2**20:.0f} MiB wait now.",
                    "Send the records again in some seconds.",
                )
            self._waiting.append((records, size, future))
            self._bytes, self._records = self._bytes + size, self._records + len(records)
            self._urgent |= urgent
            if urgent or len(self._waiting) == 1:
                self._changed.notify()
        return future

    def _write(self) -> None:
        """Write until the journal is closed and nothing waits; what came during a commit is the next."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or not self._open)
                if not self._waiting:
                    return
                self._changed.wait_for(lambda: self._urgent or not self._open, GATHER_SECONDS)
                self._urgent = False
                group, size = [self._waiting.popleft()], 0
                while self._waiting and (size := size + group[-1][1]) < GROUP_BYTES:
                    group.append(self._waiting.popleft())
            self._commit([records for records, _, _ in group], [future for _, _, future in group])
            with self._changed:
                self._bytes -= sum(size for _, size, _ in group)
                self._records -= sum(len(records) for records, _, _ in group)

    def _commit(self, batches: list[list[Record]], futures: list[Future[list[bool]]]) -> None:
        """Write batches of records in one commit, and tell their futures."""
        try:
            new = iter(self._written([record for batch in batches for record in batch]))
        except Exception as error:  # whatever it is, the callers get it
            self.trouble = error
            for future in futures:
                future.set_exception(error)
            return
        for batch, future in zip(batches, futures, strict=True):
            future.set_result(list(islice(new, len(batch))))

    def _written(self, records: list[Record]) -> list[bool]:
        """Write records, and again for some seconds if the keeping does not answer: its restart costs no record.

        While it has not answered since, it is asked once, so that callers do not wait for nothing. It may have written
        what it did not acknowledge. Therefore all records count as new after a first attempt that failed.
        """
        pauses, repeated = () if self.trouble else PAUSES, False
        for pause in (*pauses, None):
            try:
                new = self.keeping.write(records)
                break
            except UnavailableError as error:
                self.trouble, repeated = error, True
                if pause is None:
                    raise
                time.sleep(pause)
        self.trouble = None
        return [True] * len(records) if repeated else new


def has_journal(home: Home, settings: Settings) -> bool:
    """Return whether anything may have been written to a journal: a cluster's server always has one."""
    return settings.clustered or home.journal.is_file()


def open_journal(home: Home, settings: Settings) -> Journal:
    """Open the journal: a file of the home, or Redis Streams where the settings say cluster.

    Raises:
        InputError: The file is no journal, or the server refuses or does not write to its disk.
        UnavailableError: The keeping does not answer.
    """
    keeping = keeping_of(home, settings)
    if isinstance(keeping, RedisKeeping):
        keeping.check_durable()
    return Journal(keeping)


def keeping_of(home: Home, settings: Settings) -> Keeping:
    """Open what keeps the journal, for a process that writes no record: its server need not be durable.

    Raises:
        InputError: The file is no journal.
        UnavailableError: The file cannot be opened.
    """
    return RedisKeeping(settings) if settings.clustered else SqliteKeeping(home.journal)


def forget(home: Home, settings: Settings, user_id: str) -> int:
    """Delete a listener's records from the journal for good, and return their number.

    Raises: as `open_journal`.
    """
    if not has_journal(home, settings):
        return 0
    with contextlib.closing(keeping_of(home, settings)) as keeping:
        return keeping.forget(user_id)
