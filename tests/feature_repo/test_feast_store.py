"""Feast's store of a home."""

import pytest

from feature_repo.build import Vocabularies, build
from feature_repo.feast_store import open_store, publish, published_axes, published_tables
from segue.errors import UnavailableError
from segue.files import write_json
from segue.settings import Home


def test_registry_and_online_store_lie_in_the_home(home):
    store = open_store(home)
    assert store.config.registry.path == str(home.features / "registry.db")
    assert store.config.online_store.path == str(home.features / "online.db")


def test_a_relative_home_becomes_absolute(tmp_path, monkeypatch):
    # Components run in other working directories than the command that named the home.
    monkeypatch.chdir(tmp_path)
    store = open_store(Home(tmp_path.relative_to(tmp_path) / "home"))
    assert store.config.registry.path == str(tmp_path / "home" / "features" / "registry.db")


def test_an_opened_store_is_empty_until_definitions_are_applied(home):
    assert open_store(home).list_feature_services() == []


def test_tables_lie_beside_the_registry(home):
    assert published_tables(home) == home.features / "tables"


def test_publishing_replaces_the_tables_and_registers(ingest_log, tmp_path, home):
    log = ingest_log(tmp_path / "log", "u a 0 10:00 play\nu a 1 10:00 play\nu a 2 10:00 play", "a music rock -")
    stray = published_tables(home) / "stray.parquet"
    stray.parent.mkdir(parents=True)
    stray.touch()  # as of an earlier publication
    write_json(stray.with_name("manifest.json"), {"last_day": 0, "rows": {}, "genres": [], "content_types": []})
    store = publish(home, log.tables)
    assert not stray.exists()
    assert {path.name for path in published_tables(home).iterdir()} == {path.name for path in log.tables.iterdir()}
    assert {service.name for service in store.list_feature_services()} == {"ranking", "retrieval"}


def test_tables_that_would_move_a_genre_are_not_published(ingest_log, tmp_path, home):
    """Two runs on a cluster extend the same vocabulary: the one that publishes last would give its place away."""
    log = ingest_log(tmp_path / "log", "u a 0 10:00 play\nu a 1 10:00 play\nu a 2 10:00 play", "a music rock -")

    def publish_with(genres: list[str], of: str) -> None:
        build(log.folder, log.tables, None, Vocabularies(genres, ["music"], of))
        publish(home, log.tables)

    publish_with(["rock"], "log")
    publish_with(["rock", "zouk"], "log")
    for genres in (["rock", "ambient"], ["rock"]):
        with pytest.raises(UnavailableError, match="Another run has extended them meanwhile"):
            publish_with(genres, "log")
    assert published_axes(home) == Vocabularies(["rock", "zouk"], ["music"], "log")
    publish_with(["ambient"], "another log")
