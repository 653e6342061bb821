"""The stored data set is complete or absent, sorted, and has the same bytes for the same tables."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime

import duckdb
import ibis
import pyarrow.parquet as pq
import pytest

from events import dataset
from segue.errors import InputError
from segue.files import tree_sha256

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


def test_duckdb_and_ibis_can_read_the_glob_of_events(imported, tmp_path, events):
    dataset.write(tmp_path / "data", imported(events))
    glob = dataset.load(tmp_path / "data").events_glob
    days = duckdb.execute(f"select day::varchar, count(*) from '{glob}' group by 1 order by 1").fetchall()
    assert days == [("2026-01-05", 2), ("2026-01-06", 1)]
    assert ibis.duckdb.connect().read_parquet(glob).count().execute() == 3


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


def test_an_import_replaces_the_earlier_data_set(event, imported, tmp_path, events):
    dataset.write(tmp_path / "data", imported(events))
    dataset.write(tmp_path / "data", imported([event(0), event(1)]))
    assert dataset.load(tmp_path / "data").events()["event_id"].to_pylist() == ["e0", "e1"]


def test_load_without_a_data_set_names_the_command_to_run(tmp_path):
    with pytest.raises(InputError, match="No data set") as error:
        dataset.load(tmp_path / "data")
    assert "segue data import" in error.value.fix
