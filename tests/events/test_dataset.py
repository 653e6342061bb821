"""The stored data set is complete or absent, sorted, and has the same bytes for the same tables."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from events import dataset
from events.describe import describe, recent_interactions
from segue import files
from segue.errors import InputError
from segue.files import tree_sha256, write_text
from tests.support.killed import killed_at_each_step

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 6, tzinfo=UTC)


@pytest.fixture
def events(event):
    """Events of two days, out of order; two have the same time, and one has an unknown action."""
    return [
        event(3, ts=MIDNIGHT),
        event(2, ts=NOON),
        event(1, ts=NOON),
        event(4, ts=MIDNIGHT.replace(hour=1), action="hum"),
    ]


def test_events_are_stored_by_utc_day_and_sorted_by_time_and_id(imported, tmp_path, events):
    dataset.write(tmp_path / "data", imported(events))
    names = sorted(p.relative_to(tmp_path / "data").as_posix() for p in (tmp_path / "data").rglob("*.parquet"))
    assert names == [
        "events/day=2026-01-05/part-0.parquet",
        "events/day=2026-01-06/part-0.parquet",
        "items.parquet",
        "quarantine.parquet",
        "users.parquet",
    ]
    first = pq.ParquetFile(tmp_path / "data" / names[0]).read()
    assert first["event_id"].to_pylist() == ["e1", "e2"]
    assert "day" not in first.column_names


def test_load_returns_the_tables_that_were_written(imported, tmp_path, events):
    manifest = dataset.write(tmp_path / "data", imported(events))
    tables = dataset.load(tmp_path / "data")
    assert tables.manifest == manifest
    assert tables.events()["event_id"].to_pylist() == ["e1", "e2", "e3"]
    assert tables.items["title"].to_pylist() == ["Amber River"]
    assert tables.users.num_rows == 2
    assert tables.quarantine()["row"].to_pylist() == [4]


@pytest.mark.parametrize("name", ["seg [v2]", "star*", "q?", "p%20 #1: é", 'it\'s "so"'])
def test_a_data_set_can_be_read_from_any_folder(imported, tmp_path, events, name):
    for sibling in ("seg v", "starred", "qq"):  # a name taken for a pattern would match these
        (tmp_path / sibling).mkdir()
    dataset.write(tmp_path / name / "data", imported(events))
    assert dataset.load(tmp_path / name / "data").events().num_rows == 3
    assert describe(tmp_path / name / "data")["surfaces"] == {"unknown": 3}
    assert len(recent_interactions(tmp_path / name / "data", "u1", 5)) == 2


@pytest.mark.parametrize("names", [["notes.txt"], ["plays.csv", "events/raw.csv"], ["manifest.json"], [".hidden/a"]])
def test_a_folder_that_no_import_wrote_is_not_replaced(imported, tmp_path, events, names):
    for name in names:
        write_text(tmp_path / "data" / name, "{}")
    before = tree_sha256(tmp_path)
    with pytest.raises(InputError, match="only folders that it wrote"):
        dataset.write(tmp_path / "data", imported(events))
    assert tree_sha256(tmp_path) == before


def test_a_file_beside_an_imported_data_set_is_not_deleted(imported, tmp_path, events):
    dataset.write(tmp_path / "data", imported(events))
    (tmp_path / "data" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt"):
        dataset.write(tmp_path / "data", imported(events))


def test_a_symbolic_link_stays_and_its_target_is_replaced(imported, tmp_path, events):
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk", target_is_directory=True)
    for _ in range(2):
        dataset.write(tmp_path / "data", imported(events))
    assert (tmp_path / "data").is_symlink()
    assert (tmp_path / "disk" / "manifest.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".data.lock", "data", "disk"]


def test_the_manifest_describes_the_data_set(imported, tmp_path, events):
    manifest = dataset.write(tmp_path / "data", imported(events))
    assert manifest["dataset"] == "tiny"
    assert manifest["counts"] == {"items": 1, "users": 2, "events": 3, "quarantined": 1}
    assert manifest["actions"] == {"play": 3}
    assert manifest["span"] == {"first": "2026-01-05T12:00:00+00:00", "last": "2026-01-06T00:00:00+00:00"}
    assert list(manifest["quarantine_reasons"].values()) == [1]
    assert json.loads((tmp_path / "data" / "manifest.json").read_text()) == manifest


def test_the_same_tables_give_the_same_bytes_and_other_tables_another_checksum(event, imported, tmp_path, events):
    first = dataset.write(tmp_path / "first", imported(events))
    reordered = dataset.write(tmp_path / "reordered", imported(list(reversed(events[:3])) + events[3:]))
    assert tree_sha256(tmp_path / "first") == tree_sha256(tmp_path / "reordered")
    changed = dataset.write(tmp_path / "changed", imported([*events[:3], event(4, ts=MIDNIGHT)]))
    assert changed["sha256"] != first["sha256"] == reordered["sha256"]


def test_a_log_is_told_by_its_events_not_by_its_name(event, imported, tmp_path):
    log = [event(n) for n in range(8)]
    first = dataset.write(tmp_path / "data", imported(log))
    longer = dataset.write(tmp_path / "data", imported([*log, event(9, ts=MIDNIGHT)]))
    without = dataset.write(tmp_path / "data", imported(log[1:]))
    assert first["sha256"] == dataset.identity(longer) == dataset.identity(without)
    for other in ([event(n + 100) for n in range(8)], [event(n, ts=MIDNIGHT) for n in range(4)]):
        assert dataset.identity(dataset.write(tmp_path / "data", imported(other))) != first["sha256"]


def test_a_refused_import_leaves_the_earlier_data_set(event, imported, tmp_path, events):
    dataset.write(tmp_path / "data", imported(events))
    before = tree_sha256(tmp_path)
    with pytest.raises(InputError):
        dataset.write(tmp_path / "data", imported([event(0), event(0)]))
    assert tree_sha256(tmp_path) == before


def test_an_import_interrupted_while_writing_leaves_the_earlier_data_set(
    event, imported, tmp_path, events, monkeypatch
):
    dataset.write(tmp_path / "data", imported(events))
    before = tree_sha256(tmp_path)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "write_days", interrupt)
    with pytest.raises(KeyboardInterrupt):
        dataset.write(tmp_path / "data", imported([event(0), event(1)]))
    assert tree_sha256(tmp_path) == before


def test_a_killed_import_leaves_the_earlier_data_set(imported, tmp_path, events):
    manifest = dataset.write(tmp_path / "data", imported(events))
    script = (
        "import os, pathlib, signal, sys\n"
        "from events import dataset\n"
        "from events.importers import synthetic\n"
        "dataset.write_days = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "dataset.write(pathlib.Path(sys.argv[1]), synthetic.generate(synthetic.SIZES['nano'], 0))\n"
    )
    process = subprocess.run([sys.executable, "-c", script, tmp_path / "data"], check=False)
    assert process.returncode == -signal.SIGKILL
    tables = dataset.load(tmp_path / "data")
    assert tables.manifest == manifest
    assert tables.events()["event_id"].to_pylist() == ["e1", "e2", "e3"]


@pytest.mark.slow
@pytest.mark.parametrize("exchanges", [True, False], ids=["exchange", "two renames"])
def test_an_import_killed_at_any_step_leaves_the_old_data_set_or_the_new_one(
    event, imported, tmp_path, events, monkeypatch, exchanges
):
    if not exchanges:
        monkeypatch.setattr(files, "exchanged", lambda *_: False)
    first = dataset.write(tmp_path / "data", imported(events))
    new = imported([*events, event(5, ts=NOON)])
    for _ in killed_at_each_step(lambda: dataset.write(tmp_path / "data", new), every=4):
        stored = dataset.load(tmp_path / "data")
        whole = {path.name: path for path in (tmp_path / "data").iterdir() if path.name != "manifest.json"}
        assert sorted(whole) == ["events", "items.parquet", "quarantine.parquet", "users.parquet"]
        assert stored.events().num_rows == stored.manifest["counts"]["events"]
    assert stored.manifest["counts"]["events"] == first["counts"]["events"] + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".data.lock", "data"]


def test_an_import_replaces_the_earlier_data_set(event, imported, tmp_path, events):
    dataset.write(tmp_path / "data", imported(events))
    dataset.write(tmp_path / "data", imported([event(0), event(1)]))
    assert dataset.load(tmp_path / "data").events()["event_id"].to_pylist() == ["e0", "e1"]


def test_load_without_a_data_set_names_the_command_to_run(tmp_path):
    with pytest.raises(InputError, match="No data set") as error:
        dataset.load(tmp_path / "data")
    assert "segue data import" in error.value.fix
