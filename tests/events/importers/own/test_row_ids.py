"""Event ids that are made from the content of the rows."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.importers import tabular
from events.importers.own.row_ids import row_ids
from segue.errors import InputError

HEADER = "user_id,item_id,ts,action,mood"
ROWS = ["u0,i0,2026-01-05,play,calm", "u1,i0,2026-01-06,skip,", "u0,i0,2026-01-05,play,calm"]


def read(path, rows, header=HEADER):
    path.write_text("\n".join([header, *rows]) + "\n")
    return tabular.read(path)


def test_a_log_without_ids_gets_ids_from_its_rows_and_says_so(tmp_path):
    imported = read(tmp_path / "log.csv", ROWS)
    ids = imported.events["event_id"].to_pylist()
    assert len(set(ids)) == 3
    assert ids[2] == f"{ids[0]}-2"
    assert any("event_id is made from the content" in line and "1 rows repeat" in line for line in imported.mapping)


def test_the_ids_do_not_depend_on_order_file_or_format(tmp_path):
    ids = read(tmp_path / "log.csv", ROWS).events["event_id"].to_pylist()
    assert read(tmp_path / "other.csv", ROWS[::-1]).events["event_id"].to_pylist() == [ids[0], ids[1], ids[2]]
    swapped = [f"{row.split(',')[3]},{row}" for row in ROWS[:2]]
    assert read(tmp_path / "columns.csv", swapped, f"mode,{HEADER}").events["event_id"].to_pylist() != ids[:2]
    rows = {"mood": ["calm", None], "action": ["play", "skip"], "item_id": ["i0"] * 2, "user_id": ["u0", "u1"]}
    times = [datetime(2026, 1, day, tzinfo=UTC) for day in (5, 6)]
    pq.write_table(pa.table({**rows, "ts": times}), tmp_path / "log.parquet")
    assert tabular.read(tmp_path / "log.parquet").events["event_id"].to_pylist() == ids[:2]


def test_identical_rows_of_several_files_stay_distinct(tmp_path):
    for name in ("jan.csv", "feb.csv"):
        read(tmp_path / name, ROWS)
    ids = tabular.read([tmp_path / "jan.csv", tmp_path / "feb.csv"]).events["event_id"].to_pylist()
    assert len(set(ids)) == 6


def test_a_file_without_ids_among_files_with_ids_is_refused(tmp_path):
    read(tmp_path / "jan.csv", ROWS)
    (tmp_path / "feb.csv").write_text(f"event_id,{HEADER}\ne1,{ROWS[0]}\n")
    with pytest.raises(InputError, match=r"jan.csv: the column 'event_id' is missing"):
        tabular.read([tmp_path / "jan.csv", tmp_path / "feb.csv"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": ["x"], "b": [None]}, {"a": [None], "b": ["x"]}),
        ({"a": ["x"], "b": ["y"]}, {"a": ["xy"], "b": [""]}),
        ({"a": [1.5]}, {"a": [15]}),
        ({"a": [["x", "y"]]}, {"a": [["x"]]}),
        ({"a": [datetime(2026, 1, 5, tzinfo=UTC)]}, {"a": [datetime(2026, 1, 5, 0, 0, 0, 1, tzinfo=UTC)]}),
    ],
)
def test_different_rows_have_different_ids(first, second):
    assert row_ids(pa.table(first))[0] != row_ids(pa.table(second))[0]
    assert row_ids(pa.table(first))[0] == row_ids(pa.table(first))[0]
