"""The importer of your own logs: Parquet and CSV with mapped columns."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import dataset, schema
from events.importers import tabular
from segue.errors import InputError

CSV = """event_id,user_id,item_id,ts,action,position,mood,score
1,007,i0,2026-01-05T12:00:00,play,,calm,0.5
2,u1,i0,2026-01-05T13:00:00Z,skip,3,,1.5
"""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(CSV)
    return path


def test_canonical_csv_columns_get_the_types_of_the_contract_and_other_columns_get_inferred_types(log):
    imported = tabular.read(log)
    assert imported.dataset == "parquet-log"
    events = imported.events
    assert events.schema.names[: len(schema.EVENTS)] == schema.EVENTS.names
    assert events["user_id"].to_pylist() == ["007", "u1"]
    assert events["event_id"].to_pylist() == ["1", "2"]
    assert events["ts"][0].as_py() == datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert events["position"].to_pylist() == [None, 3]
    assert events["mood"].to_pylist() == ["calm", None]
    assert events["score"].to_pylist() == [0.5, 1.5]


@pytest.mark.parametrize("column", ["received", "exposure"])
def test_a_column_of_the_log_is_not_taken_for_what_the_journal_knows(tmp_path, column):
    """A server's time of receipt of an impression would let later interactions into the history before it."""
    at = [datetime(2026, 1, 1, 10, 30, tzinfo=UTC)]
    row = {
        "user_id": ["u"],
        "item_id": ["a"],
        "ts": at,
        "action": ["impression"],
        column: pa.array(at, schema.TIMESTAMP),
    }
    pq.write_table(pa.table(row), tmp_path / "log.parquet")
    with pytest.raises(InputError, match=f"The column {column} holds what the journal knows") as refused:
        tabular.read(tmp_path / "log.parquet")
    assert f"--map log_{column}={column}" in refused.value.fix
    events = tabular.read(tmp_path / "log.parquet", mapping={f"log_{column}": column}).events
    assert events[f"log_{column}"].to_pylist() == at
    assert column not in events.column_names


def test_missing_tables_of_items_and_users_are_derived_from_the_log(log):
    imported = tabular.read(log)
    assert imported.items.schema == schema.ITEMS
    assert imported.items.select(["item_id", "title"]).to_pylist() == [{"item_id": "i0", "title": "i0"}]
    assert imported.users["user_id"].to_pylist() == ["007", "u1"]
    assert any("items are the item ids" in line for line in imported.mapping)


def test_a_mapping_applies_to_every_file(tmp_path):
    when = [datetime(2026, 1, 5, 12), datetime(2026, 1, 5, 13)]
    log = {"id": [1, 2], "user": [10, 11], "movie": [5, 5], "at": when, "action": ["like", "like"]}
    pq.write_table(pa.table(log), tmp_path / "log.parquet")
    movies = {"movie": [5], "title": ["Amber River"], "genres": ["folk|jazz"], "release_date": ["2020-02-03"]}
    pq.write_table(pa.table(movies), tmp_path / "movies.parquet")
    mapping = {"event_id": "id", "user_id": "user", "item_id": "movie", "ts": "at"}
    imported = tabular.read(tmp_path / "log.parquet", items=tmp_path / "movies.parquet", mapping=mapping)
    assert imported.events["item_id"].to_pylist() == ["5", "5"]
    assert imported.events["ts"][0].as_py() == when[0].replace(tzinfo=UTC)
    assert imported.items["genres"].to_pylist() == [["folk", "jazz"]]
    assert imported.items["release_date"].to_pylist() == [date(2020, 2, 3)]
    assert {"events: movie -> item_id", "items: movie -> item_id"} <= set(imported.mapping)
    assert dataset.write(tmp_path / "data", imported)["counts"]["events"] == 2


def test_a_mapped_column_replaces_a_column_that_has_the_canonical_name(tmp_path):
    (tmp_path / "log.csv").write_text(CSV.replace("score", "real_ts").replace("0.5", "1767700000"))
    events = tabular.read(tmp_path / "log.csv", mapping={"ts": "real_ts", "event_id": "event_id"}).events
    assert events["ts"][0].as_py() == datetime(2026, 1, 6, 11, 46, 40, tzinfo=UTC)
    assert "real_ts" not in events.column_names


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.large_string()])
def test_text_that_is_stored_as_bytes_is_text(tmp_path, kind):
    log = {"event_id": ["1", "2"], "user_id": ["7", "8"], "item_id": ["i0", "i0"], "ts": ["2026-01-05", "1767607200"]}
    log |= {"action": ["Play", "skip"], "position": ["1", "2.0"], "query": ["Beyoncé", ""], "label_like": ["yes", ""]}
    pq.write_table(pa.table({name: pa.array(values, kind) for name, values in log.items()}), tmp_path / "log.parquet")
    events = tabular.read(tmp_path / "log.parquet").events
    assert events["action"].to_pylist() == ["play", "skip"]
    assert events["ts"][1].as_py() == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert events["position"].to_pylist() == [1, 2]
    assert events["query"].to_pylist() == ["Beyoncé", ""]


def test_ids_read_as_floats_become_whole_numbers(tmp_path):
    log = {"event_id": [1.0, 2.0], "user_id": [1, 2], "item_id": [7.0, 7.0], "ts": [1_767_607_200] * 2}
    pq.write_table(pa.table({**log, "action": ["play", "play"]}), tmp_path / "log.parquet")
    assert tabular.read(tmp_path / "log.parquet").events["item_id"].to_pylist() == ["7", "7"]


def test_a_folder_of_parquet_files_is_read_as_one_table_and_errors_name_the_file(tmp_path):
    row = {"event_id": "a", "user_id": "u0", "item_id": "i0", "ts": 1_767_607_200, "action": "play"}
    other = {**row, "event_id": "b", "user_id": "u1"}
    folder = tmp_path / "log"
    folder.mkdir()
    for name, rows in (("1.parquet", [row]), ("2.parquet", [other, {**row, "event_id": "c", "ts": None}])):
        pq.write_table(pa.Table.from_pylist(rows), folder / name)
    imported = tabular.read(folder)
    assert imported.events.num_rows == 3
    with pytest.raises(InputError, match=r"2.parquet, row 2: ts is null"):
        dataset.write(tmp_path / "data", imported)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028"])
def test_the_error_about_a_row_with_line_breaks_is_one_line(log, end):
    log.write_text(f'{CSV}3,"u{end}1"\n', newline="")
    with pytest.raises(InputError, match=r"row 4: expected 8 columns, got 2") as error:
        tabular.read(log)
    assert len(error.value.headline.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CSV.replace("ts,", "when,"), r"log.csv: the column 'ts' is missing. It has: event_id, user_id, item_id, when"),
        (CSV.replace("13:00:00Z", "noon"), r"log.csv, row 3: ts is '2026-01-05Tnoon', which is not a time"),
        (CSV.replace(",3,", ",third,"), r"log.csv, row 3: position is 'third', which is not a whole number"),
        (CSV + "3,u1\n", r"log.csv: row 4: expected 8 columns, got 2"),
        (CSV.replace("score", "mood"), r"log.csv has two columns 'mood'"),
        (CSV.split("\n")[0] + "\n", r"log.csv has no rows"),
        ("", r"log.csv has no rows"),
    ],
)
def test_errors_in_a_csv_name_the_row(log, text, message):
    log.write_text(text)
    with pytest.raises(InputError, match=message):
        tabular.read(log)


def test_errors_name_a_file_that_cannot_be_read(tmp_path, log):
    with pytest.raises(InputError, match="There is no file"):
        tabular.read(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"bad.parquet is a damaged Parquet file"):
        tabular.read(tmp_path / "bad.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no .parquet or .csv file"):
        tabular.read(tmp_path / "empty")


def test_the_error_about_a_mapped_column_that_is_missing_lists_the_columns(log):
    with pytest.raises(InputError, match=r"no file has a column 'time'. There are: action, event_id"):
        tabular.read(log, mapping={"ts": "time"})


@pytest.mark.parametrize(
    ("ours", "theirs"), [("ts", "played_at"), ("user_id", "listener"), ("item_id", "Track ID"), ("action", "eventType")]
)
def test_the_error_about_a_missing_column_names_the_likely_one(log, ours, theirs):
    log.write_text(CSV.replace(ours, theirs, 1))
    with pytest.raises(InputError, match=rf"the column '{ours}' is missing.*`--map events.{ours}={theirs}`"):
        tabular.read(log)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("position", "Rank"), ("event_id", "Event-ID"), ("session_id", "sessionId"), ("query", "search_term")],
)
def test_a_column_that_is_likely_ours_and_not_mapped_is_named(log, ours, theirs):
    log.write_text(CSV.replace(ours if ours in CSV else "mood", theirs, 1))
    imported = tabular.read(log)
    note = f"events: {theirs} is kept as it is; `--map events.{ours}={theirs}` reads it as {ours}"
    assert note in imported.mapping
    assert note not in tabular.read(log, mapping={ours: theirs}).mapping
