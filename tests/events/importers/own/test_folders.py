"""Folders of files, several files of a table, and partition folders."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.importers import tabular
from segue.errors import InputError


def row(number: int, **values) -> dict:
    event = {
        "event_id": f"e{number}",
        "user_id": f"u{number % 2}",
        "item_id": "i0",
        "ts": "2026-01-05",
        "action": "play",
    }
    return {**event, **values}


def write(path, *rows: dict):
    """Write rows in the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join([",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows)]) + "\n"
    if path.name.lower().endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def ids(imported) -> list[str]:
    return sorted(imported.events["event_id"].to_pylist())


def test_several_files_in_a_mix_of_formats_are_read_and_counted(tmp_path):
    files = [
        write(tmp_path / "jan.csv", row(1, score=1), row(2, score=2)),
        write(tmp_path / "feb.parquet", row(3, score="good")),
        write(tmp_path / "mar.csv.gz", row(4, mood="calm")),
        write(tmp_path / "apr" / "part-0.parquet", row(5)).parent,
    ]
    imported = tabular.read(files)
    assert ids(imported) == ["e1", "e2", "e3", "e4", "e5"]
    assert imported.rows_by_file == {"events": {"jan.csv": 2, "feb.parquet": 1, "mar.csv.gz": 1, "part-0.parquet": 1}}
    assert imported.events["score"].to_pylist() == ["1", "2", "good", None, None]
    assert "events: score has several types and is kept as text" in imported.mapping
    assert imported.dataset == "parquet-jan-and-3-more"


def test_errors_and_counts_tell_files_of_one_name_apart(tmp_path):
    files = [
        write(tmp_path / name / "log.csv", row(i, ts=ts)) for i, (name, ts) in enumerate([("a", 0), ("b", "soon")])
    ]
    with pytest.raises(InputError, match=r"b/log.csv, row 2: ts is 'soon'"):
        tabular.read(files)


@pytest.mark.parametrize("again", ["log/a.csv", "log", "log/../log/a.csv"])
def test_a_file_given_twice_is_refused(tmp_path, again):
    path = write(tmp_path / "log" / "a.csv", row(1), row(2))
    with pytest.raises(InputError, match=r"Each file is read once; .* is given twice"):
        tabular.read([path, tmp_path / again])


@pytest.mark.parametrize(
    "leftover",
    ["_temporary/0/task/part-1.parquet", "._part-0.parquet", ".hidden/x.csv", "_SUCCESS", "__MACOSX/a.csv", ".a.crc"],
)
def test_names_that_begin_with_a_mark_are_skipped(tmp_path, leftover):
    write(tmp_path / "log" / "part-0.parquet", row(1), row(2))
    (tmp_path / "log" / leftover).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "log" / leftover).write_bytes(b"\0\5\x16\7 of no use")
    imported = tabular.read(tmp_path / "log")
    assert ids(imported) == ["e1", "e2"]
    assert not any("is not read" in line for line in imported.mapping)


@pytest.mark.parametrize("name", ["PART.PARQUET", "b.CSV", "c.tsv", "d.csv.gz", "part-00001", "x/y/z.csv"])
def test_a_folder_holds_files_of_any_format(tmp_path, name):
    write(tmp_path / "log" / "a.csv", row(1))
    write(tmp_path / "log" / name, row(2))
    assert ids(tabular.read(tmp_path / "log")) == ["e1", "e2"]


def test_a_file_in_a_folder_that_is_no_table_is_named(tmp_path):
    write(tmp_path / "log" / "a.csv", row(1))
    (tmp_path / "log" / "README.md").write_text("# A log\n")
    assert "events: README.md is not read: its name is not that of a table" in tabular.read(tmp_path / "log").mapping
    (tmp_path / "log" / "a.csv").unlink()
    with pytest.raises(InputError, match=r"holds no .parquet or .csv file. It holds: README.md"):
        tabular.read(tmp_path / "log")


@pytest.mark.parametrize("ending", ["parquet", "csv", "csv.gz"])
def test_partition_folders_are_columns(tmp_path, ending):
    for number, folder in enumerate(("action=play/mood=calm%20sea", "action=skip/mood=__HIVE_DEFAULT_PARTITION__")):
        event = row(number)
        del event["action"]
        write(tmp_path / "log" / folder / f"part-0.{ending}", event)
    events = tabular.read(tmp_path / "log").events
    assert events["action"].to_pylist() == ["play", "skip"]
    assert events["mood"].to_pylist() == ["calm sea", None]


def test_partition_folders_above_a_given_path_are_columns_too(tmp_path):
    paths = [write(tmp_path / f"market={market}" / "a.csv", row(i)) for i, market in enumerate(("SE", "NO"))]
    assert tabular.read([paths[0], paths[1].parent]).events["market"].to_pylist() == ["SE", "NO"]


def test_a_partition_that_contradicts_its_file_is_refused(tmp_path):
    write(tmp_path / "log" / "action=skip" / "a.csv", row(1))
    with pytest.raises(InputError, match=r"the folder says action=skip; the column 'action' of the file has other"):
        tabular.read(tmp_path / "log")
    write(tmp_path / "log" / "action=skip" / "a.csv", row(1, action="skip"))
    assert tabular.read(tmp_path / "log").events["action"].to_pylist() == ["skip"]


def test_a_partition_by_day_is_left_to_the_storage_unless_it_is_mapped(tmp_path):
    event = row(1)
    write(tmp_path / "log" / "day=2026-01-05" / "a.parquet", event)
    imported = tabular.read(tmp_path / "log")
    assert "day" not in imported.events.column_names
    assert any("column day is not kept" in line for line in imported.mapping)
    mapped = tabular.read(tmp_path / "log", mapping={"ts": "day"}).events
    assert str(mapped["ts"][0].as_py().date()) == "2026-01-05"


@pytest.mark.parametrize("line", ["e3,u1,i0,2026-01-05,play", "x,y", "1767607200"])
def test_a_lone_line_that_is_no_header_is_not_taken_for_one(tmp_path, line):
    write(tmp_path / "log" / "a.csv", row(1), row(2))
    (tmp_path / "log" / "b.csv").write_text(line)
    with pytest.raises(InputError, match=r"b.csv: the first line of a text file names its columns; its only line has"):
        tabular.read(tmp_path / "log")


@pytest.mark.parametrize(("big", "other"), [(2**53 + 1, 0.5), (-(2**60), 1e300), (2**63 - 1, float("nan"))])
def test_whole_numbers_that_decimals_cannot_hold_are_kept_as_text(tmp_path, big, other):
    files = [write(tmp_path / "a.parquet", row(1, x=big)), write(tmp_path / "b.parquet", row(2, x=other))]
    assert tabular.read(files).events["x"].to_pylist()[0] == str(big)


@pytest.mark.parametrize("value", [["SE"], {"code": "SE"}, b"\xff"])
def test_a_folder_and_a_column_that_is_no_text_contradict_each_other(tmp_path, value):
    write(tmp_path / "log" / "market=SE" / "a.parquet", row(1, market=value))
    with pytest.raises(InputError, match=r"the folder says market=SE; the column 'market' of the file has other"):
        tabular.read(tmp_path / "log")


def test_a_file_without_rows_is_counted_and_its_columns_do_not_matter(tmp_path):
    write(tmp_path / "log" / "a.parquet", row(1), row(2))
    pq.write_table(pa.table({"user_id": pa.array([], pa.list_(pa.string()))}), tmp_path / "log" / "b.parquet")
    (tmp_path / "log" / "c.csv").write_text("user_id,x\n")
    imported = tabular.read(tmp_path / "log")
    assert ids(imported) == ["e1", "e2"]
    assert imported.rows_by_file == {"events": {"a.parquet": 2, "b.parquet": 0, "c.csv": 0}}


@pytest.mark.parametrize("content", [b"", b"\n", gzip.compress(b"", mtime=0), b"\xef\xbb\xbf", b"sep=;\n"], ids=str)
def test_an_empty_file_of_a_folder_is_counted(tmp_path, content):
    write(tmp_path / "log" / "part-00000", row(1), row(2))
    (tmp_path / "log" / "part-00001").write_bytes(content)
    imported = tabular.read(tmp_path / "log")
    assert ids(imported) == ["e1", "e2"]
    assert imported.rows_by_file == {"events": {"part-00000": 2, "part-00001": 0}}
