"""The catalogue as of an instant: what a model's item table and index are made from."""

from datetime import datetime
from pathlib import Path

import ibis
import pyarrow as pa
from ibis import _

from feature_repo import transformations as T
from feature_repo.engine import duckdb_engine


def items_as_of(tables: Path, instant: datetime) -> pa.Table:
    """Every item's profile with the statistics of the last snapshot at or before `instant`.

    Items without activity in the 28 days before have null statistics; `age_at_request_days` is that at
    `instant`, -1 if the release is unknown, and 0 before it.
    """
    with duckdb_engine() as engine:
        profile = engine.read_parquet(tables / "item_profile.parquet").drop("event_timestamp")
        daily = engine.read_parquet(tables / "item_daily.parquet")
        since = instant - T.DAILY
        known = daily.filter(
            (_.event_timestamp <= ibis.literal(instant, type=T.TIMESTAMP))
            & (_.event_timestamp > ibis.literal(since, type=T.TIMESTAMP))
        ).drop("event_timestamp")
        content = engine.read_parquet(tables / "item_content.parquet")
        described = profile.join(content, "item_id")
        joined = described.left_join(known, "item_id").drop("item_id_right").order_by("item_id")
        days = (int(instant.timestamp()) - joined.release_ts) / T.DAY_SECONDS
        age = (joined.release_ts == 0).ifelse(T.UNKNOWN_AGE, ibis.greatest(days, 0.0)).cast("float32")
        return engine.to_pyarrow(joined.mutate(age_at_request_days=age))
