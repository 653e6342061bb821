"""Tell the format of a file from its content, whatever its name is, and undo its compression."""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events.bulk.batches import ROWS
from events.importers.text_files import Stream
from segue.errors import InputError

BLOCK = 2**22  # bytes that are read at once
PARQUET = b"PAR1"
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
NOT_READ = {  # beginnings of files, as patterns
    rb"PK\x03\x04": "a zip archive or a spreadsheet (.xlsx)",
    rb"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)",
    rb"ARROW1": "an Arrow (Feather) file",
    rb"Obj\x01": "an Avro file",
    rb"ORC[\x00-\x08\x0a-\x1f]": "an ORC file",
    rb"SQLite format 3": "a SQLite database",
    rb"\x89HDF": "an HDF5 file",
    rb"PARE[\x00-\x08\x0a-\x1f\x80-\xff]": "an encrypted Parquet file",
    rb"BZh\d": "compressed with bzip2",
    rb"\xfd7zXZ": "compressed with xz",
    rb"\x04\x22\x4d\x18": "compressed with lz4",
    rb"7z\xbc\xaf|Rar!": "an archive",
    rb"(?s).{257}ustar": "a tar archive",
    rb"(\xef\xbb\xbf)?\s*[\[{]\s*[\[{\]}\"]": "JSON",  # a column may be named [user_id]
    rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml)": "a page or a document (HTML or XML)",
}
HEAD = 512  # bytes that tell a format
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
            InputError: The file is absent, damaged, or begins as a format that Segue does not read.
        """
        if not path.exists():
            raise InputError(f"There is no file {path}.", "Check the path.")
        if not path.is_file():
            raise InputError(f"Logs are read from files; {path} is a pipe or a device.", "Write its content to a file.")
        with path.open("rb") as file:
            start = file.read(HEAD)
        source = cls(path, next((name for magic, name in COMPRESSIONS.items() if start.startswith(magic)), None))
        head = source.head(HEAD)
        for beginning, found in NOT_READ.items():
            if re.match(beginning, head):
                raise InputError(f"Logs are read from Parquet or CSV; {path.name} is {found}.", FIX)
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
        return bytes(Stream(self.blocks()).read(size))

    def is_parquet(self) -> bool:
        """Return whether the content is Parquet."""
        return self.head(len(PARQUET)) == PARQUET

    def parquet_rows(self, name: str) -> tuple[pa.Schema, Generator[pa.RecordBatch, None, None]]:
        """Return the schema of a Parquet file and its rows in batches; a compressed file is held in memory.

        Args:
            name: Name of the file, for errors.
        """
        source = pa.BufferReader(b"".join(self.blocks())) if self.compression else self.path
        try:
            file = pq.ParquetFile(source, coerce_int96_timestamp_unit="us")  # years after 2262 overflow ns
        except (pa.ArrowException, OSError) as error:
            raise damaged(name, error) from None

        uuids = columns_of_uuids(file.schema) & set(file.schema_arrow.names)
        table_schema = with_uuids_as_text(pa.RecordBatch.from_pylist([], file.schema_arrow), uuids).schema

        def batches() -> Generator[pa.RecordBatch, None, None]:
            try:
                for batch in file.iter_batches(ROWS):
                    yield with_uuids_as_text(batch, uuids)
            except (pa.ArrowException, OSError) as error:
                raise damaged(name, error) from None

        return table_schema, batches()


def damaged(name: str, error: Exception) -> InputError:
    """Return the error about a Parquet file that cannot be read."""
    return InputError(f"{name} is a damaged Parquet file: {error}.", "Write the file again as Parquet.")


def columns_of_uuids(types: pq.ParquetSchema) -> set[str]:
    """Return the names of the columns of UUIDs, which DuckDB, Trino and Iceberg store as 16 bytes."""
    columns = [types.column(number) for number in range(len(types))]
    return {column.path for column in columns if column.logical_type.type == "UUID"}


def with_uuids_as_text(batch: pa.RecordBatch, uuids: set[str]) -> pa.RecordBatch:
    """Return rows with the UUIDs in these columns as text."""
    for name in uuids:
        hexadecimal = duckdb.arrow(pa.table({"id": batch[name]})).project("lower(hex(id))")
        text = hexadecimal.to_arrow_table().column(0).cast(pa.string()).combine_chunks()
        dashed = pc.replace_substring_regex(text, "^(.{8})(.{4})(.{4})(.{4})", r"\1-\2-\3-\4-")
        batch = batch.set_column(batch.schema.names.index(name), name, dashed)
    return batch
