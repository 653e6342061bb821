"""Tell the format of a file from its content, whatever its name is, and undo its compression."""

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segue.errors import InputError

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
    for beginning, found in NOT_READ.items():
        if re.match(beginning, data):
            raise InputError(f"Logs are read from Parquet or CSV; {path.name} is {found}.", FIX)
    return data, compression


def read_parquet(data: bytes, name: str) -> pa.Table:
    """Read the content of a Parquet file."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data), coerce_int96_timestamp_unit="us")  # years after 2262 overflow ns
        return with_uuids_as_text(file.read(), file.schema)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} is a damaged Parquet file: {error}.", "Write the file again as Parquet.") from None


def with_uuids_as_text(table: pa.Table, types: pq.ParquetSchema) -> pa.Table:
    """Return the table with its UUIDs as text: DuckDB, Trino and Iceberg store them as 16 bytes."""
    uuids = {types.column(i).path for i in range(len(types)) if types.column(i).logical_type.type == "UUID"}
    for name in uuids & set(table.column_names):
        hexadecimal = duckdb.arrow(table.select([name]).rename_columns(["id"])).project("lower(hex(id))")
        text = hexadecimal.to_arrow_table().column(0)
        dashed = pc.replace_substring_regex(text, "^(.{8})(.{4})(.{4})(.{4})", r"\1-\2-\3-\4-")
        table = table.set_column(table.column_names.index(name), name, dashed)
    return table
