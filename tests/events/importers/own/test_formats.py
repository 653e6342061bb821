"""The format of a file is told from its content, whatever its name is."""

import gzip
import os
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.importers import tabular
from segue.errors import InputError

CSV = b"event_id,user_id,item_id,ts,action\n1,007,i0,2026-01-05,play\n2,u1,i0,2026-01-06,skip\n"


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    columns = {"event_id": ["1", "2"], "user_id": ["007", "u1"], "item_id": ["i0", "i0"], "action": ["play", "skip"]}
    pq.write_table(pa.table({**columns, "ts": ["2026-01-05", "2026-01-06"]}), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("log.CSV", CSV),
        ("log.csv.gz", gzip.compress(CSV)),
        ("log.csv.gz", gzip.compress(CSV[:40]) + gzip.compress(CSV[40:])),
        ("log.csv.zst", zstd(CSV)),
        ("log.csv", gzip.compress(CSV)),
        ("log.parquet", CSV),
        ("log.PARQUET", parquet()),
        ("log.csv", parquet()),
        ("log.parquet.gz", gzip.compress(parquet())),
        ("log", CSV),
    ],
)
def test_the_content_says_the_format(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    imported = tabular.read(tmp_path / name)
    assert imported.events["user_id"].to_pylist() == ["007", "u1"]
    assert imported.rows_by_file == {"events": {name: 2}}


@pytest.mark.parametrize("column", ["[user_id]", "{user_id}", "<user_id>", "ORCID", "PARENT_ID"])
def test_names_of_columns_in_brackets_are_no_other_format(tmp_path, column):
    (tmp_path / "log.csv").write_bytes(CSV.replace(b"event_id,user_id", f"{column},event_id".encode()))
    assert tabular.read(tmp_path / "log.csv", mapping={"user_id": column}).events["user_id"].to_pylist() == ["1", "2"]


def test_uuids_and_times_of_old_writers_are_read_from_parquet(tmp_path):
    uuids = ["00112233-4455-6677-8899-aabbccddeeff", "ffeeddcc-bbaa-9988-7766-554433221100"]
    query = "select unnest($uuids)::uuid as user_id, 'i0' as item_id, timestamp '2026-01-05' as ts, 'play' as action"
    with duckdb.connect() as connection:
        log = tmp_path / "log.parquet"
        connection.execute(f"copy ({query.replace('$uuids', repr(uuids))}) to '{log}'")
    assert tabular.read(log).events["user_id"].to_pylist() == uuids
    far = [datetime(9999, 12, 31), datetime(2026, 1, 5)]  # beyond the nanoseconds of 64 bits
    columns = {"user_id": ["u0", "u1"], "item_id": ["i0", "i0"], "action": ["play"] * 2, "ts": far, "until": far}
    pq.write_table(pa.table(columns), log, use_deprecated_int96_timestamps=True)
    assert tabular.read(log).events["until"].to_pylist() == far


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04rest", "log.csv is a zip archive or a spreadsheet"),
        (b"\xd0\xcf\x11\xe0rest", r"log.csv is a spreadsheet \(.xls\)"),
        (b"ARROW1\0\0rest", r"log.csv is an Arrow \(Feather\) file"),
        (b"Obj\x01rest", "log.csv is an Avro file"),
        (b"SQLite format 3\0rest", "log.csv is a SQLite database"),
        (b'{"user_id": 1}\n', "log.csv is JSON"),
        (b'\xef\xbb\xbf\n [ {"user_id": 1}]', "log.csv is JSON"),
        (b"BZh91AY&SY", "log.csv is compressed with bzip2"),
        (b"\xfd7zXZ\0rest", "log.csv is compressed with xz"),
        (b"ORC\x0arest", "log.csv is an ORC file"),
        (b"log.csv".ljust(257, b"\0") + b"ustar", "log.csv is a tar archive"),
        (b"\n<!DOCTYPE html>\n<html>", r"log.csv is a page or a document \(HTML or XML\)"),
        (bytes([7, 0, 1]) * 9, "log.csv is a binary file"),
        (gzip.compress(CSV)[:-6], "log.csv is a damaged gzip file"),
        (zstd(CSV)[:-6], "log.csv is a damaged zstd file"),
        (parquet()[:-9], "log.csv is a damaged Parquet file"),
        (b"", "log.csv has no rows"),
        (gzip.compress(b"\n"), "log.csv has no rows"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, data, message):
    (tmp_path / "log.csv").write_bytes(data)
    with pytest.raises(InputError, match=message):
        tabular.read(tmp_path / "log.csv")


def test_a_pipe_and_a_path_that_cannot_be_read_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match=r"pipe.csv is a pipe or a device"):
        tabular.read(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        tabular.read(tmp_path / ("x" * 300))
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a.csv").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"There is no file .*a.csv"):
        tabular.read(tmp_path / "log")
