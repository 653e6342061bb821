"""Feast with DuckDB as its offline store and SQLite as its online store."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

pytestmark = pytest.mark.slow  # the import takes 8 s


def test_a_feature_is_read_point_in_time_offline_and_newest_online(tmp_path):
    """If this fails, training has no features as of each event, or serving has no features."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Int64
    from feast.value_type import ValueType

    monday, tuesday = (datetime(2026, 1, day, tzinfo=UTC) for day in (5, 6))
    table = tmp_path / "plays.parquet"
    rows = pd.DataFrame({"user_id": ["u", "u"], "ts": [monday, tuesday], "plays": [1, 2]})
    rows.to_parquet(table, coerce_timestamps="us")  # DuckDB cannot cast pandas' nanoseconds with a time zone
    store = FeatureStore(
        config=RepoConfig(
            project="contract",
            provider="local",
            registry=str(tmp_path / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(tmp_path / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="plays",
        entities=[user],
        ttl=timedelta(days=2),
        schema=[Field(name="plays", dtype=Int64)],
        source=FileSource(path=str(table), timestamp_field="ts"),
    )
    store.apply([user, view])
    entities = pd.DataFrame({
        "user_id": ["u", "u", "u"],
        "event_timestamp": [monday - timedelta(hours=1), monday + timedelta(hours=1), tuesday],
    })  # fmt: skip
    joined = store.get_historical_features(entities, ["plays:plays"]).to_df().sort_values("event_timestamp")
    # There is no feature before Monday's row, and a row is visible at its own instant.
    assert joined["plays"].fillna(-1).tolist() == [-1, 1, 2]
    store.materialize(monday - timedelta(days=1), tuesday + timedelta(days=1))
    online = store.get_online_features(["plays:plays"], [{"user_id": "u"}, {"user_id": "new"}]).to_dict()
    assert online["plays"] == [2, None]
