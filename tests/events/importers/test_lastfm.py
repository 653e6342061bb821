"""The importer of Last.fm 2K, on hand-made files of a few lines and on the real data set."""

import json
from datetime import UTC, datetime

import pytest

from events import dataset
from events.importers import lastfm
from segue.errors import InputError


def ms(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def folder(tmp_path):
    def write(name: str, *rows: tuple) -> None:
        text = "\r\n".join("\t".join(map(str, row)) for row in rows) + "\r\n"
        (tmp_path / name).write_bytes(text.encode())

    write("artists.dat", ("id", "name", "url", "pictureURL"),
          (1, 'Sigur "Rós"', "u", "p"), (2, "Low", "u", ""), (3, "Can", "u", "p"))  # fmt: skip
    # The play counts of user 5 are 10, 20 and 90, so the median is 20. User 6 plays only artist 1.
    write("user_artists.dat", ("userID", "artistID", "weight"), (5, 1, 10), (5, 2, 20), (5, 3, 90), (6, 1, 4))
    write("user_taggedartists-timestamps.dat", ("userID", "artistID", "tagID", "timestamp"),
          (5, 1, 1, ms(2009, 4, 1)), (5, 1, 2, ms(2009, 4, 1)), (5, 2, 1, ms(2009, 4, 1)),
          (6, 1, 1, ms(2009, 3, 31, 23)), (6, 1, 3, ms(2009, 3, 31, 23)), (6, 1, 4, ms(2009, 4, 2)),
          (6, 3, 1, ms(2009, 4, 2)), (6, 9, 1, ms(2009, 4, 2)), (5, 3, 1, ms(1956, 5, 31)))  # fmt: skip
    return tmp_path


def test_each_listener_artist_and_day_gives_one_event(folder):
    imported = lastfm.read(folder)
    rows = imported.events.to_pylist()
    assert [row["event_id"] for row in rows] == [
        "lf-6-1-20090331", "lf-5-1-20090401", "lf-5-2-20090401", "lf-6-1-20090402", "lf-6-3-20090402",
    ]  # fmt: skip
    assert {row["action"] for row in rows} == {"add"}
    assert [row["session_id"] for row in rows] == ["6-s1", "5-s1", "5-s1", "6-s2", "6-s2"]


def test_an_artist_is_liked_if_its_play_count_reaches_the_listener_s_median(folder):
    rows = lastfm.read(folder).events.to_pylist()
    assert [row["play_count"] for row in rows] == [4, 10, 20, 4, None]
    assert [row["label_like"] for row in rows] == [1.0, 0.0, 1.0, 1.0, None]
    for unknown in ("play", "complete", "skip", "add", "listen"):
        assert {row[f"label_{unknown}"] for row in rows} == {None}


def test_items_have_no_genres(folder):
    items = lastfm.read(folder).items
    # Genres made from the tags would leak: each tag is an event, and a later event must not be known earlier.
    assert items.column_names == ["item_id", "title", "content_type"]
    assert items["title"].to_pylist() == ['Sigur "Rós"', "Low", "Can"]
    assert set(items["content_type"].to_pylist()) == {"artist"}


def test_times_out_of_range_and_artists_without_a_name_are_quarantined(folder, tmp_path):
    dataset.write(tmp_path / "data", lastfm.read(folder))
    entries = dataset.load(tmp_path / "data").quarantine().to_pylist()
    assert [(entry["row"], entry["reason"]) for entry in entries] == [
        (9, lastfm.NO_NAME), (10, lastfm.OUT_OF_RANGE),
    ]  # fmt: skip
    assert {entry["file"] for entry in entries} == {"user_taggedartists-timestamps.dat"}
    assert json.loads(entries[0]["record"])["item_id"] == "9"


def test_the_error_about_missing_files_lists_them(tmp_path):
    with pytest.raises(InputError, match=r"looked for artists.dat, user_artists.dat, user_tagged"):
        lastfm.read(tmp_path)


def test_the_error_about_a_byte_that_is_not_utf_8_names_the_row(folder):
    (folder / "artists.dat").write_bytes(b"id\tname\n1\tLow\n2\tR\xf3s\n")
    with pytest.raises(InputError, match=r"artists.dat, row 3: the byte 0xf3 is not utf-8"):
        lastfm.read(folder)


def test_the_real_data_set(shared_data, tmp_path):
    imported = lastfm.read(shared_data / "lastfm-2k")
    manifest = dataset.write(tmp_path / "data", imported)
    assert manifest["counts"] == {"items": 17_632, "users": 1_892, "events": 84_197, "quarantined": 1_543}
    assert manifest["quarantine_reasons"] == {lastfm.NO_NAME: 1_538, lastfm.OUT_OF_RANGE: 5}
    nameless = [
        json.loads(entry["record"])["item_id"]
        for entry in imported.quarantine.to_pylist()
        if entry["reason"] == lastfm.NO_NAME
    ]
    assert len(set(nameless)) == 390
