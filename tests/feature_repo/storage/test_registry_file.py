"""Feast's registry is whole at any moment."""

import errno

import pytest
from feast.protos.feast.core.Registry_pb2 import Registry

from feature_repo.definitions import define
from feature_repo.feast_store import open_store
from tests.support.killed import killed_at_each_step


def test_a_registry_killed_at_any_step_of_a_write_is_the_old_one_or_the_new_one(home):
    store = open_store(home).registry._registry_store
    old, new = (Registry(registry_schema_version=version * 40) for version in ("1", "2"))
    store.update_registry_proto(old)
    seen = []
    for _ in killed_at_each_step(lambda: store.update_registry_proto(new)):
        seen.append(store.get_registry_proto().registry_schema_version[0])
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ("1", "2")
    assert [path.name for path in home.features.iterdir()] == ["registry.db"]


def test_a_registry_that_finds_no_room_stays_as_it_was(home, tmp_path, monkeypatch):
    store = open_store(home)
    store.apply([*define(tmp_path).entities])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.apply([*define(tmp_path).entities])
    assert {entity.name for entity in open_store(home).list_entities()} >= {"user", "item", "session"}
    assert sorted(path.name for path in home.features.iterdir()) == ["online.db", "registry.db"]
