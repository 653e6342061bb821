"""Feast's definitions, compared with the feature tables."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast.types import from_feast_to_pyarrow_type

from events import schema
from feature_repo.definitions import ONLINE_ONLY, define
from feature_repo.training import joined_features

VIEWS = {
    "user_profile": "user_id",
    "user_daily": "user_id",
    "user_history": "user_id",
    "session_context": "session_id",
    "item_profile": "item_id",
    "item_daily": "item_id",
}


def test_every_table_but_item_content_has_a_view(nano):
    assert [view.name for view in define(str(nano.tables)).views] == list(VIEWS)
    assert {path.stem for path in nano.tables.glob("*.parquet")} == {*VIEWS, "item_content"}


@pytest.mark.parametrize(("name", "key"), VIEWS.items())
def test_a_views_fields_are_its_tables_columns(nano, name, key):
    (view,) = (view for view in define(str(nano.tables)).views if view.name == name)
    table = pq.read_schema(nano.tables / f"{name}.parquet")
    stated = {field.name: from_feast_to_pyarrow_type(field.dtype) for field in view.schema}
    assert [f"{entity}_id" for entity in view.entities] == [key]
    assert dict(zip(table.names, table.types, strict=True)) == {
        key: pa.string(), "event_timestamp": schema.TIMESTAMP, **stated,
    }  # fmt: skip


def test_both_services_are_registered(nano_store):
    services = {s.name: {p.name for p in s.feature_view_projections} for s in nano_store.list_feature_services()}
    assert services["retrieval"] == set(VIEWS) - {"session_context"}
    assert services["ranking"] == {*VIEWS, "request_features"}


def test_training_joins_all_views_but_the_event_level_ones(nano_store):
    joined = {reference.split(":")[0] for reference in joined_features(nano_store)}
    assert joined == {*VIEWS, "request_features"} - ONLINE_ONLY


def test_applying_twice_changes_nothing(ingest_log, tmp_path):
    log = ingest_log(tmp_path, "u a 0 10:00 play\nu a 1 10:00 play", "a music rock -")
    log.store()
    names = [view.name for view in log.store().list_batch_feature_views()]
    assert sorted(names) == sorted(VIEWS)
