"""The catalogue as of an instant: the source of a model's item table and index."""

from datetime import datetime
from pathlib import Path

import ibis
import pyarrow as pa
from ibis import _

from feature_repo import transformations
from feature_repo.engine import duckdb_engine, read_parquet
from feature_repo.item_age import age_in_days


def items_as_of(tables: Path, instant: datetime) -> pa.Table:
    """Return the profile of each item with its statistics as of `instant`, sorted by item id.

    The statistics are those of the last daily snapshot at or before `instant`. They are null for an item without
    activity in the 28 days before. `age_at_request_days` is the item's age at `instant` (see `age_in_days`).
    """
    with duckdb_engine() as engine:
        profile = read_parquet(engine, tables / "item_profile.parquet").drop("event_timestamp")
        content = read_parquet(engine, tables / "item_content.parquet")
        daily = read_parquet(engine, tables / "item_daily.parquet")
        oldest = instant - transformations.DAILY
        statistics = daily.filter(
            (_.event_timestamp <= ibis.literal(instant, type=transformations.TIMESTAMP))
            & (_.event_timestamp > ibis.literal(oldest, type=transformations.TIMESTAMP))
        ).drop("event_timestamp")
        joined = profile.join(content, "item_id").left_join(statistics, "item_id").drop("item_id_right")
        items = joined.order_by("item_id")
        age = age_in_days(items.release_ts, int(instant.timestamp()), ibis.ifelse, ibis.greatest)
        return engine.to_pyarrow(items.mutate(age_at_request_days=age.cast("float32")))
