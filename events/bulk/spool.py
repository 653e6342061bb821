"""Keep large tables in a temporary file that is mapped into memory, so that they read as any other Arrow table.

The kernel may drop the pages of such a file at any time, so they count for nothing when memory is short. The file has
no name: it ends with the process, however that ends. `TMPDIR` says in which folder it lies.
"""

import mmap
import tempfile
import threading
import time
from collections.abc import Iterable
from typing import IO
from weakref import WeakSet

import pyarrow as pa

IN_MEMORY = 64 * 2**20  # bytes of a spool that are not yet in its file
ALIGNMENT = 64
GIVE_BACK_SECONDS = 0.02  # Arrow reads gigabytes in a second

_maps: WeakSet[mmap.mmap] = WeakSet()


class Spool:
    """Tables that are written batch by batch, and read when all are written. Small ones never reach the disk."""

    def __init__(self) -> None:
        self._schemas: list[pa.Schema] = []
        self._waiting: list[list[pa.RecordBatch]] = []  # [tables], the batches that are not yet in the file
        self._bytes = 0
        self._starts: list[list[int]] = []  # [tables], where in the file an Arrow stream of some batches begins
        self._file: IO[bytes] | None = None

    def add(self, table_schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Write a further table.

        Raises:
            OSError: The disk is full.
        """
        self._schemas.append(table_schema)
        self._waiting.append([])
        self._starts.append([])
        for batch in batches:
            self._waiting[-1].append(batch)
            self._bytes += batch.nbytes
            if self._bytes > IN_MEMORY:
                self._flush()

    def tables(self) -> list[pa.Table]:
        """Return the tables, in the order in which they were added. The spool takes no further ones."""
        if self._file is None:
            return [pa.Table.from_batches(*table) for table in zip(self._waiting, self._schemas, strict=True)]
        self._flush()
        self._file.flush()
        pages = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._file.close()
        _maps.add(pages)
        if len(_maps) == 1:
            threading.Thread(target=_give_back, daemon=True).start()
        content = pa.py_buffer(pages)
        return [
            pa.concat_tables(
                [table_schema.empty_table(), *(pa.ipc.open_stream(content.slice(start)).read_all() for start in starts)]
            )
            for table_schema, starts in zip(self._schemas, self._starts, strict=True)
        ]

    def _flush(self) -> None:
        """Write the waiting batches to the file."""
        self._file = self._file or tempfile.TemporaryFile(prefix="segue-", buffering=2**20)  # noqa: SIM115
        for table_schema, batches, starts in zip(self._schemas, self._waiting, self._starts, strict=True):
            if batches:
                self._file.write(bytes(-self._file.tell() % ALIGNMENT))
                starts.append(self._file.tell())
                with pa.ipc.new_stream(self._file, table_schema) as writer:
                    for batch in batches:
                        writer.write_batch(batch)
                batches.clear()
        self._bytes = 0


def store(table_schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return one table of all batches, in memory if it is small, else mapped from a temporary file."""
    spool = Spool()
    spool.add(table_schema, batches)
    return spool.tables()[0]


def let_go() -> None:
    """Give the pages of all mapped tables back to the kernel; they are read again where they are needed."""
    for pages in list(_maps):
        pages.madvise(mmap.MADV_DONTNEED)
    pa.default_memory_pool().release_unused()


def _give_back() -> None:
    """Give pages back while tables are mapped: a look at a whole column reads many, and Arrow does not stop within."""
    while _maps:
        for pages in list(_maps):
            pages.madvise(mmap.MADV_DONTNEED)
        time.sleep(GIVE_BACK_SECONDS)
