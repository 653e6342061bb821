"""Feast's store over a home."""

from feature_repo.store import open_store, tables
from segue.settings import Home


def test_registry_and_online_store_lie_in_the_home(home):
    store = open_store(home)
    assert store.config.registry.path == str(home.features / "registry.db")
    assert store.config.online_store.path == str(home.features / "online.db")


def test_a_relative_home_becomes_absolute(tmp_path, monkeypatch):
    # Components run in other directories than the one that named the home.
    monkeypatch.chdir(tmp_path)
    store = open_store(Home(tmp_path.relative_to(tmp_path) / "home"))
    assert store.config.registry.path == str(tmp_path / "home" / "features" / "registry.db")


def test_an_opened_store_knows_nothing_until_applied(home):
    assert open_store(home).list_feature_services() == []


def test_tables_lie_beside_the_registry(home):
    assert tables(home) == home.features / "tables"
