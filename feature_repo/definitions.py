"""The definitions that Feast registers: entities, sources, views, and the feature services of retrieval and ranking."""

from dataclasses import dataclass
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, RequestSource
from feast.data_format import ParquetFormat
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.transformation.pandas_transformation import PandasTransformation
from feast.types import Array, Float32, Int64, String
from feast.value_type import ValueType

from feature_repo.on_demand import request_features, source_text
from feature_repo.transformations import DAILY

# Training computes these features per event, as windows over the log; Feast serves them online only.
ONLINE_ONLY = {"user_history", "session_context"}


@dataclass(frozen=True)
class Definitions:
    """Feast's objects, grouped by type."""

    entities: tuple[Entity, ...]
    views: tuple[FeatureView, ...]
    on_demand: OnDemandFeatureView
    services: tuple[FeatureService, ...]

    @property
    def all(self) -> list:
        """All objects that `feast apply` registers."""
        return [*self.entities, *self.views, self.on_demand, *self.services]


def source(tables: str, name: str, endpoint: str | None) -> FileSource:
    """Return the source of a feature table. `tables` is absolute: readers resolve relative paths differently."""
    return FileSource(
        name=name,
        path=f"{tables}/{name}.parquet",
        s3_endpoint_override=endpoint,
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    )


def fields(*names: str, dtype=Float32) -> list[Field]:
    """Return fields of one type."""
    return [Field(name=name, dtype=dtype) for name in names]


def define(tables: str, endpoint: str | None = None) -> Definitions:
    """Define all of Feast's objects over feature tables.

    Args:
        tables: an absolute path, or a place `s3://BUCKET/PREFIX`.
        endpoint: the address of the S3 server; None for Amazon's.
    """
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
    session = Entity(name="session", join_keys=["session_id"], value_type=ValueType.STRING)

    user_profile = FeatureView(
        name="user_profile",
        entities=[user],
        ttl=timedelta(0),
        schema=fields("country", "age_band", "plan", dtype=String),
        source=source(tables, "user_profile", endpoint),
    )
    user_daily = FeatureView(
        name="user_daily",
        entities=[user],
        ttl=DAILY,
        schema=[
            *fields("user_plays_7d", "user_plays_28d", "user_skip_rate_7d", "user_skip_rate_28d"),
            *fields("hours_since_last_play"),
            *fields("genre_shares", "content_type_shares", dtype=Array(Float32)),
        ],
        source=source(tables, "user_daily", endpoint),
    )
    user_history = FeatureView(
        name="user_history",
        entities=[user],
        ttl=timedelta(0),
        schema=[
            *fields("history_items", "history_actions", dtype=Array(String)),
            *fields("history_times", dtype=Array(Int64)),
        ],
        source=PushSource(name="user_history_push", batch_source=source(tables, "user_history", endpoint)),
    )
    session_context = FeatureView(
        name="session_context",
        entities=[session],
        ttl=timedelta(0),
        schema=fields("session_plays", "session_skips"),
        source=PushSource(name="session_context_push", batch_source=source(tables, "session_context", endpoint)),
    )
    item_profile = FeatureView(
        name="item_profile",
        entities=[item],
        ttl=timedelta(0),
        schema=[
            *fields("creator_id", "content_type", "language", dtype=String),
            *fields("duration_s"),
            *fields("release_ts", dtype=Int64),
            *fields("genre_weights", dtype=Array(Float32)),
        ],
        source=source(tables, "item_profile", endpoint),
    )
    item_daily = FeatureView(
        name="item_daily",
        entities=[item],
        ttl=DAILY,
        schema=fields(
            "item_plays_7d", "item_plays_28d", "item_skip_rate_28d", "item_like_rate_28d", "item_trend",
            "item_age_days",
        ),
        source=source(tables, "item_daily", endpoint),
    )  # fmt: skip
    on_demand = OnDemandFeatureView(
        name="request_features",
        sources=[
            user_daily[["genre_shares"]],
            item_profile[["genre_weights", "release_ts"]],
            RequestSource(name="request", schema=[Field(name="request_ts", dtype=Int64)]),
        ],
        schema=fields("genre_affinity", "age_at_request_days"),
        mode="pandas",
        feature_transformation=PandasTransformation(udf=request_features, udf_string=source_text()),
    )
    retrieval = FeatureService(
        name="retrieval", features=[user_profile, user_daily, user_history, item_profile, item_daily]
    )
    ranking = FeatureService(
        name="ranking",
        features=[
            user_profile, user_daily, user_history, session_context, item_profile, item_daily, on_demand,
        ],
    )  # fmt: skip
    return Definitions(
        (user, item, session),
        (user_profile, user_daily, user_history, session_context, item_profile, item_daily),
        on_demand,
        (retrieval, ranking),
    )
