"""A listener's online features by the store's own read are those that Feast's `get_online_features` answers."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from events import schema
from feature_repo.online import USER_VIEWS, read_view, views

LOG = """
    u a 0 12:00 play s1
    u b 3 12:00 skip s2
    v a 2 12:00 play s3
    u a 4 09:00 like s4
"""
USERS = [{"user_id": "u", "country": "SE"}, {"user_id": "v"}, {"user_id": "x", "plan": "free"}]


@pytest.fixture(scope="module")
def store(tmp_path_factory, make_log, make_items, ingest_tables):
    """A refreshed store of `LOG`."""
    users = pa.Table.from_pylist(USERS, schema=schema.USERS)
    items = make_items("a music rock 2026-01-03\nb podcast pop -")
    return ingest_tables(tmp_path_factory.mktemp("reads"), make_log(LOG), items, users).refresh()


@pytest.mark.parametrize("entity", ["u", "v", "x", "nobody", "s1", "s4", ""])
@pytest.mark.parametrize("name", [*USER_VIEWS, "session_context"])
def test_values_and_stamps_are_those_of_feast(store, name, entity):
    join_key = "session_id" if name == "session_context" else "user_id"
    references = [f"{name}:{feature.name}" for feature in views()[name].features]
    response = store.get_online_features(features=references, entity_rows=[{join_key: entity}])
    values = {feature: column[0] for feature, column in response.to_dict().items() if feature != join_key}
    stamps = {vector.event_timestamps[0].seconds for vector in response.proto.results}

    row = read_view(store, name, join_key, entity)

    assert row.features == values
    assert {row.stamp} | {datetime.fromtimestamp(0, UTC)} >= {datetime.fromtimestamp(s, UTC) for s in stamps}
    assert row.ttl == store.get_feature_view(name).ttl


def test_the_store_holds_something_to_compare(store):
    assert read_view(store, "user_history", "user_id", "u").features["history_items"] == ["a", "b", "a"]
