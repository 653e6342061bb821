"""Tell the format of a file from its content, whatever its name is, and undo its compression."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from events.bulk.batches import ROWS
from events.importers.text_files import Stream
from segue.errors import InputError

BLOCK = 2**22  # bytes that are read at once
PARQUET = b"PAR1"
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
NOT_READ = {
    b"PK\x03\x04": "a zip archive or a spreadsheet (.xlsx)",
    b"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)",
    b"ARROW1": "an Arrow (Feather) file",
    b"Obj\x01": "an Avro file",
    b"SQLite format 3": "a SQLite database",
    b"PARE": "an encrypted Parquet file",
}
HEAD = 16  # bytes that tell a format
FIX = "Write it as Parquet or CSV, which may be compressed with gzip or zstd."


@dataclass(frozen=True)
class Source:
    """A file whose bytes are read a block at a time.

    Args:
        path: Where it is.
        compression: What is undone: `gzip`, `zstd` or None.
    """

    path: Path
    compression: str | None

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Look at the beginning of a file.

        Raises:
            InputError: The file is absent, empty, damaged, or begins as a format that Segue does not read.
        """
        if not path.exists():
            raise InputError(f"There is no file {path}.", "Check the path.")
        if not path.is_file():
            raise InputError(f"Logs are read from files; {path} is a pipe or a device.", "Write its content to a file.")
        with path.open("rb") as file:
            start = file.read(HEAD)
        source = cls(path, next((name for magic, name in COMPRESSIONS.items() if start.startswith(magic)), None))
        head = source.head(HEAD)
        for magic, found in NOT_READ.items():
            if head.startswith(magic):
                raise InputError(f"Logs are read from Parquet or CSV; {path.name} is {found}.", FIX)
        if head[:1] in (b"{", b"["):
            raise InputError(f"Logs are read from Parquet or CSV; {path.name} is JSON.", FIX)
        if not any(block.strip() for block in source.blocks()):
            raise InputError(f"{path.name} is empty.", "Import a file with rows.")
        return source

    def blocks(self) -> Iterator[bytes]:
        """Yield the content of the file from its beginning.

        Raises:
            InputError: The file is damaged.
        """
        with self.path.open("rb") as file:
            stream = pa.CompressedInputStream(file, self.compression) if self.compression else file
            while block := self._read(stream):
                yield block

    def _read(self, stream: IO[bytes] | pa.NativeFile) -> bytes:
        """Return the next block of a stream."""
        if not self.compression:
            return stream.read(BLOCK)
        try:
            return stream.read(BLOCK)
        except (pa.ArrowException, OSError) as error:
            name = self.path.name
            raise InputError(f"{name} is a damaged {self.compression} file: {error}.", "Copy it again.") from None

    def head(self, size: int) -> bytes:
        """Return the first bytes of the content."""
        return Stream(self.blocks()).read(size)

    def is_parquet(self) -> bool:
        """Return whether the content is Parquet."""
        return self.head(len(PARQUET)) == PARQUET

    def parquet_rows(self, name: str) -> tuple[pa.Schema, Generator[pa.RecordBatch, None, None]]:
        """Return the schema of a Parquet file and its rows in batches; a compressed file is held in memory.

        Args:
            name: Name of the file, for errors.
        """
        try:
            file = pq.ParquetFile(pa.BufferReader(b"".join(self.blocks())) if self.compression else self.path)
        except (pa.ArrowException, OSError) as error:
            raise damaged(name, error) from None

        def batches() -> Generator[pa.RecordBatch, None, None]:
            try:
                yield from file.iter_batches(ROWS)
            except (pa.ArrowException, OSError) as error:
                raise damaged(name, error) from None

        return file.schema_arrow, batches()


def damaged(name: str, error: Exception) -> InputError:
    """Return the error about a Parquet file that cannot be read."""
    return InputError(f"{name} is a damaged Parquet file: {error}.", "Write the file again as Parquet.")
