"""Tell the format of a file from its content, whatever its name is, and undo its compression."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from segue.errors import InputError

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
FIX = "Write it as Parquet or CSV, which may be compressed with gzip or zstd."


def content(path: Path) -> tuple[bytes, str | None]:
    """Return the bytes of a file, and the compression that was undone: `gzip`, `zstd` or None.

    Raises:
        InputError: The file is absent, damaged, or begins as a format that Segue does not read.
    """
    if not path.exists():
        raise InputError(f"There is no file {path}.", "Check the path.")
    if not path.is_file():
        raise InputError(f"Logs are read from files; {path} is a pipe or a device.", "Write its content to a file.")
    data, compression = path.read_bytes(), None
    for magic, name in COMPRESSIONS.items():
        if data.startswith(magic):
            compression = name
            try:
                data = pa.CompressedInputStream(pa.BufferReader(data), name).read()
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{path.name} is a damaged {name} file: {error}.", "Copy it again.") from None
    for magic, found in NOT_READ.items():
        if data.startswith(magic):
            raise InputError(f"Logs are read from Parquet or CSV; {path.name} is {found}.", FIX)
    if data[:1] in (b"{", b"["):
        raise InputError(f"Logs are read from Parquet or CSV; {path.name} is JSON.", FIX)
    return data, compression


def read_parquet(data: bytes, name: str) -> pa.Table:
    """Read the content of a Parquet file."""
    try:
        return pq.ParquetFile(pa.BufferReader(data)).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} is a damaged Parquet file: {error}.", "Write the file again as Parquet.") from None
