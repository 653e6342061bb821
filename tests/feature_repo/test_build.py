"""Building the feature tables of a log."""

from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from events import schema
from feature_repo.build import (
    MAX_CONTENT_TYPES,
    MAX_GENRES,
    Vocabularies,
    build,
    last_complete_day,
    load_manifest,
    vocabularies,
)
from segue.errors import InputError


def test_vocabularies_are_sorted_by_name(make_items):
    axes = vocabularies(make_items("a music pop,rock -\nb podcast rock -\nc music folk -\nd - - -"))
    assert axes.genres == ["folk", "pop", "rock"]
    assert axes.content_types == ["music", "podcast"]


def test_vocabularies_keep_the_most_frequent_names(make_items):
    text = "\n".join(f"i{n} type{n:02d} genre{n:02d} -" for n in range(MAX_GENRES + 5))
    axes = vocabularies(make_items(f"{text}\nx - genre{MAX_GENRES + 4} -"))
    assert axes.genres == [
        *(f"genre{n:02d}" for n in range(MAX_GENRES - 1)),
        f"genre{MAX_GENRES + 4}",
    ]  # the last genre has two items
    assert axes.content_types == [f"type{n:02d}" for n in range(MAX_CONTENT_TYPES)]


def test_a_catalogue_without_genres_and_types_has_vocabularies_of_one_entry(make_items):
    axes = vocabularies(make_items("a - - -"))
    assert (axes.genres, axes.content_types) == (["unknown"], ["unknown"])


def test_a_later_vocabulary_keeps_each_place_and_appends_what_is_new(make_items):
    before = vocabularies(make_items("a music pop,rock -\nb podcast folk -"), "log")
    axes = vocabularies(make_items("a music ambient,rock -\nb audiobook zouk -"), "log", before)
    assert axes.genres == ["folk", "pop", "rock", "ambient", "zouk"]
    assert axes.content_types == ["music", "podcast", "audiobook"]
    assert vocabularies(make_items("a music ambient -"), "another log", before).genres == ["ambient"]


def test_a_full_vocabulary_stays_as_it_is_and_the_last_places_go_to_the_most_frequent(make_items):
    known = [f"genre{n:02d}" for n in range(MAX_GENRES)]
    catalogue = make_items("a music alpha,beta -\nb music beta -")
    assert vocabularies(catalogue, "log", Vocabularies(known, ["music"], "log")).genres == known
    assert vocabularies(catalogue, "log", Vocabularies(known[1:], ["music"], "log")).genres == [*known[1:], "beta"]


@pytest.mark.parametrize(
    ("last", "day"),
    [
        pytest.param(datetime(1970, 1, 3, 0, 0, tzinfo=UTC), 1, id="midnight opens a new day"),
        pytest.param(datetime(1970, 1, 2, 23, 59, 59, 999999, tzinfo=UTC), 0, id="the last event's day may go on"),
    ],
)
def test_the_last_complete_day_is_the_day_before_the_last_event(last, day):
    assert last_complete_day(last) == day


def test_the_manifest_says_what_was_built(ingest_log, tmp_path, day_number):
    log = ingest_log(tmp_path, "u a 0 10:00 play\nu a 1 10:00 play\nv a 2 10:00 skip", "a music rock -")
    manifest = load_manifest(log.tables)
    assert manifest["last_day"] == day_number(1)
    assert (manifest["genres"], manifest["content_types"]) == (["rock"], ["music"])
    # The last complete day is day 1. u and a have snapshots for days 0 and 1; the skip by v on day 2 comes later.
    assert manifest["rows"] == {
        "user_profile": 2, "user_daily": 2, "user_history": 2, "session_context": 0,
        "item_profile": 1, "item_content": 1, "item_daily": 2,
    }  # fmt: skip


def test_a_build_replaces_an_earlier_build(ingest_log, tmp_path):
    log = ingest_log(tmp_path, "u a 0 10:00 play\nu a 1 10:00 play", "a music rock -")
    stray = log.tables / "stray.parquet"
    stray.touch()
    build(log.folder, log.tables)
    assert not stray.exists()
    assert load_manifest(log.tables)["rows"]["user_daily"] == 1


def test_a_log_without_events_is_an_error_and_leaves_no_folder(tmp_path, make_items):
    for name, table in (
        ("events", schema.EVENTS.empty_table()),
        ("items", make_items("a music rock -")),
        ("users", schema.USERS.empty_table()),
    ):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    with pytest.raises(InputError, match="at least one event"):
        build(tmp_path, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_building_twice_gives_the_same_tables(nano, tmp_path):
    build(nano.folder, tmp_path / "again")
    for path in sorted(nano.tables.glob("*.parquet")):
        entity = f"{path.stem.split('_')[0]}_id"
        columns = pq.read_schema(path).names
        keys = [(name, "ascending") for name in ("event_timestamp", entity) if name in columns]
        first, second = (
            pq.read_table(folder / path.name).sort_by(keys) for folder in (nano.tables, tmp_path / "again")
        )
        assert first.equals(second), path.stem
