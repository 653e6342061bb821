"""Tables in a temporary file read as those in memory."""

import errno
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from events.bulk import spool

TABLES = {
    "numbers": pa.table({"n": [1, None, 3], "text": ["a", None, "é"]}),
    "lists": pa.table({"genres": [["folk"], [], None], "at": pa.array([0, 1, None], pa.timestamp("ns", "Asia/Tokyo"))}),
    "categories": pa.table({"plan": pa.array(["free", "paid", "free"]).dictionary_encode()}),
    "structures": pa.table({"place": [{"x": 1}, None, {"x": 2}], "none": pa.nulls(3)}),
    "no rows": pa.table({"n": pa.array([], pa.int64())}),
}


@pytest.fixture(params=[0, spool.IN_MEMORY], ids=["on disk", "in memory"])
def limit(request, monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", request.param)
    return request.param


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read_as_it_was_written(limit, name):
    table = TABLES[name]
    stored = spool.store(table.schema, table.to_batches(max_chunksize=2))
    assert stored.schema.equals(table.schema)
    assert stored.to_pylist() == table.to_pylist()


def test_several_tables_share_a_spool_and_stay_after_their_pages_are_let_go(limit):
    together = spool.Spool()
    for table in TABLES.values():
        together.add(table.schema, table.to_batches(max_chunksize=1))
    stored = together.tables()
    spool.let_go()
    assert [table.to_pylist() for table in stored] == [table.to_pylist() for table in TABLES.values()]


def test_a_large_table_is_not_held_in_memory(monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", 2**20)
    before = pa.total_allocated_bytes()
    batch = pa.record_batch([pa.array(range(40_000))], ["n"])
    stored = spool.store(batch.schema, (batch for _ in range(50)))  # 16 MB
    assert stored.num_rows == 2_000_000
    assert pa.total_allocated_bytes() - before < 2**21


def test_a_full_disk_is_told_as_such(monkeypatch):
    monkeypatch.setattr(spool, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("w+b"))  # noqa: SIM115
    table = pa.table({"n": range(1000)})
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as error:
        spool.store(table.schema, table.to_batches())
    assert error.value.errno == errno.ENOSPC
