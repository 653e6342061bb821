"""A log is read alike in small blocks, through a temporary file, and as a whole."""

import gzip
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import checks
from events.bulk import batches, spool
from events.importers import tabular
from events.importers.own import formats
from events.importers.own.dialects import Dialect
from segue.errors import InputError

HEADER = "event_id,user_id,item_id,ts,action,ms_played,query,score,liked\n"
ACTIONS, QUERIES = ("play", "Skip", "hum"), ("", '"a, b"', '"two\nlines"', '"""é"""')
ROWS = [
    f'{n},u{n % 3}," i{n % 4}",2026-01-0{1 + n % 9} 10:00:00,{ACTIONS[n % 3]},{n - 1},{QUERIES[n % 4]},'
    f"{n}{'.5' * (n == 17)},{n % 2}\n"
    for n in range(20)
]
TEXT = HEADER + "".join(ROWS)


@pytest.fixture(params=[7, 64], ids="blocks of {}".format)
def small(request, monkeypatch):
    """Return a context in which blocks have a few bytes, batches 3 rows, and nothing stays in memory."""
    return (
        lambda: mock.patch.multiple("events.bulk.batches", ROWS=3),
        lambda: mock.patch.object(spool, "IN_MEMORY", 0),
        lambda: mock.patch.object(formats, "BLOCK", request.param),
    )


def both(small, read):
    """Return what `read` gives with small blocks, and as usual: its value or its error."""

    def outcome():
        try:
            return read()
        except InputError as error:
            return error.headline, error.fix

    usual = outcome()
    with small[0](), small[1](), small[2]():
        return outcome(), usual


def content(imported) -> dict:
    """Return all that a data set holds, as values that show where two differ."""
    tables = {name: getattr(imported, name) for name in ("events", "items", "users", "quarantine")}
    return {
        **{name: [str(table.schema), *map(str, table.to_pylist())] for name, table in tables.items()},
        "mapping": imported.mapping,
        "rows": imported.rows_by_file,
    }


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.replace("\n", "\r\n").encode() + b"\r\n\r\n",
        TEXT.encode().rstrip() + b"\n" * 9,
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-32"),
        gzip.compress(TEXT.encode()),
        pa.Codec("zstd").compress(TEXT.encode(), asbytes=True),
        b"sep=;\n" + TEXT.replace("a, b", "a").replace(",", ";").encode(),
        TEXT.replace("event_id,", "").replace("\n0,", "\n").encode(),
    ],
    ids=["utf-8", "CRLF", "blank end", "BOM", "utf-16", "utf-32", "gzip", "zstd", "sep=", "one value too few"],
)
def test_a_text_file_is_read_alike_in_blocks(tmp_path, small, data):
    (tmp_path / "log.csv").write_bytes(data)
    in_blocks, whole = both(small, lambda: content(checks.check(tabular.read(tmp_path / "log.csv"))))
    assert in_blocks == whole


@pytest.mark.parametrize(
    ("data", "dialect"),
    [
        (TEXT.encode("cp1252"), Dialect()),
        (TEXT.encode("cp1252"), Dialect(encoding="cp1252")),
        (TEXT.encode("cp1252"), Dialect(encoding="ascii")),
        (TEXT.encode()[:-4] + "é".encode()[:1], Dialect()),
        (TEXT.encode("utf-16")[:-1], Dialect()),
        (TEXT.replace(",", "::").encode(), Dialect(separator="::")),
        (TEXT.replace("2026-01-08", "noon").encode(), Dialect()),
        (TEXT.replace(",6,", ",six,").encode(), Dialect()),
        ((TEXT + "20,u1\n").encode(), Dialect()),
        ((TEXT + ROWS[4]).encode(), Dialect()),
        (gzip.compress(TEXT.encode())[:-6], Dialect()),
        (TEXT.replace("u2", "u\0", 5).encode(), Dialect()),
        (TEXT.replace("u2", "u\0", 5).encode("utf-16"), Dialect()),
        (TEXT.replace('"""é"""', '"\\"é\\""').encode(), Dialect()),
        (TEXT[: TEXT.rindex('"')].encode(), Dialect()),
        (b"sep=,\n\n \r\n" + TEXT.replace('"""é"""', '"é" é').encode(), Dialect()),
        (b"\n" * 200 + (TEXT + "20,u1\n").encode(), Dialect()),
        (TEXT.replace(",2,", ",NULL,").replace("2026-01-05 10:00:00", "nan").encode(), Dialect()),
        (b"\n" * 200, Dialect()),
    ],
    ids=[
        "not UTF-8", "cp1252", "not ASCII", "cut in a letter", "odd bytes", "::", "no time", "no number", "short row",
        "repeated id", "damaged", "zero bytes", "zero bytes in UTF-16", "quotes by backslashes", "quote left open",
        "quotes below lines", "short row below lines", "words for nothing", "blank lines",
    ],
)  # fmt: skip
def test_faults_and_options_are_alike_in_blocks(tmp_path, small, data, dialect):
    (tmp_path / "log.csv").write_bytes(data)
    in_blocks, whole = both(small, lambda: content(checks.check(tabular.read(tmp_path / "log.csv", dialect=dialect))))
    assert in_blocks == whole


def test_a_log_without_ids_and_of_several_files_is_read_alike(tmp_path, small):
    columns = {
        "user_id": ["u0", "u1", "u0", "u0"] * 3,
        "item_id": pa.array(["i0", "i1", "i0", "i0"] * 3).dictionary_encode(),
        "ts": [1_767_607_200, 1_767_607_300, 1_767_607_200, 1_767_607_200] * 3,
        "action": ["play", "LIKE", "play", "play"] * 3,
        "tags": [["a"], [], None, ["b", "c"]] * 3,
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=5)
    (tmp_path / "b.parquet.gz").write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    (tmp_path / "c.csv").write_text("user_id,item_id,ts,action\nu0,i0,2026-01-05T10:00:00,play\n")
    files = [tmp_path / name for name in ("a.parquet", "b.parquet.gz", "c.csv")]
    in_blocks, whole = both(small, lambda: content(checks.check(tabular.read(files))))
    assert in_blocks == whole
    assert len(set(whole["events"][1:])) == 25


def test_batches_have_a_size():
    assert batches.ROWS > 1000  # `small` sets it back
