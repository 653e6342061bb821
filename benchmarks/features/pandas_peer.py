"""The peer of `segue bench features`: the same training set in plain pandas.

It is written as a careful user of pandas would write it: operations on whole columns, repetitive columns as
categories, one groupby per table, rolling windows over dense tables of entities and days, and `merge_asof` for
point-in-time joins. It imports nothing from `feature_repo`: if two independent implementations give equal
values, both are likely right. It reads logs with impressions and leaves out the tables of the online store.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from events import schema
from events.splits import Split

SHORT, LONG = 7, 28  # days in the windows of the statistics
HISTORY = 50  # most interactions in a history
MAX_GENRES, MAX_CONTENT_TYPES = 24, 8
DAY = pd.Timedelta(days=1).as_unit("us")  # the unit of the log: sums of mixed units are in ns
SECOND = pd.Timedelta(seconds=1)
EPOCH = pd.Timestamp(0, tz="UTC")
CATEGORIES = ["user_id", "item_id", "session_id", "surface", "action"]
SHOWN = ["event_id", "user_id", "item_id", "ts", "session_id", "request_id", "surface", "position", "propensity"]
COLUMNS = [*SHOWN, "action", "ms_played"]


@dataclass(frozen=True)
class Features:
    """The tables that the training set is joined from.

    Args:
        users, items: profiles, one row per id.
        user_daily, item_daily: one row per entity and day that has activity in the 28 days up to it, sorted
            by `event_timestamp` (the end of the day). The shares are columns `genre_<i>` and `type_<i>`.
        vectors: weights `genre_<i>` and `type_<i>` of each item, indexed by item.
    """

    users: pd.DataFrame
    items: pd.DataFrame
    user_daily: pd.DataFrame
    item_daily: pd.DataFrame
    vectors: pd.DataFrame


def read_events(ingested: Path) -> pd.DataFrame:
    """Read the log. Ids become categories, which take a fraction of the memory of strings and group faster."""
    events = pd.read_parquet(ingested / "events.parquet", columns=COLUMNS)
    return events.astype(dict.fromkeys(CATEGORIES, "category"))


def features(ingested: Path, events: pd.DataFrame) -> Features:
    """Compute the profiles and daily statistics of a log.

    Args:
        ingested: the folder with `items.parquet` and `users.parquet`.
        events: the folder's log, from `read_events`.
    """
    items, users = (pd.read_parquet(ingested / f"{name}.parquet") for name in ("items", "users"))
    vectors = item_vectors(items)
    interactions = events.loc[events["action"].isin(schema.INTERACTIONS), ["user_id", "item_id", "ts", "action"]]
    interactions["day"] = interactions["ts"].dt.floor("D")
    interactions["skips"] = (interactions["action"] == schema.SKIP).astype("float32")
    interactions["plays"] = 1 - interactions["skips"]
    interactions["likes"] = (interactions["action"] == schema.LIKE).astype("float32")
    last_day = events["ts"].iloc[-1].floor("D") - DAY  # the day of the last event may not be over
    interactions = interactions[interactions["day"] <= last_day]
    return Features(
        users[["user_id", "country", "age_band", "plan"]].fillna(""),
        item_profile(items, vectors),
        user_daily(interactions, vectors, last_day),
        item_daily(interactions, items, last_day),
        vectors,
    )


def most_common(values: pd.Series, limit: int) -> list[str]:
    """The most frequent values, sorted by name."""
    counts = values[values != ""].value_counts().sort_index()
    return sorted(counts.sort_values(ascending=False, kind="stable").index[:limit])


def item_vectors(items: pd.DataFrame) -> pd.DataFrame:
    """Each item's weights over the most frequent genres, and its content type as one-hot columns."""
    exploded = items.set_index("item_id")["genres"].explode()
    genres, content_types = most_common(exploded, MAX_GENRES), most_common(items["content_type"], MAX_CONTENT_TYPES)
    member = pd.get_dummies(exploded[exploded.isin(genres)], dtype="float32").groupby(level=0).max()
    member = member.reindex(index=items["item_id"], columns=genres, fill_value=0)
    weights = share(member, member.sum(axis=1))
    weights.columns = [f"genre_{i}" for i in range(len(genres))]
    for i, content_type in enumerate(content_types):
        weights[f"type_{i}"] = (items["content_type"] == content_type).to_numpy("float32")
    return weights


def item_profile(items: pd.DataFrame, vectors: pd.DataFrame) -> pd.DataFrame:
    """The columns of an item that do not change with time; null strings become empty, null numbers 0."""
    profile = items[["item_id", "creator_id", "content_type", "language"]].fillna("")
    profile["duration_s"] = (items["duration_ms"] / 1000).fillna(0).astype("float32")
    released = pd.to_datetime(items["release_date"], utc=True)
    profile["release_ts"] = ((released - EPOCH) // SECOND).fillna(0).astype("int64")
    profile["genre_weights"] = list(vectors.filter(like="genre_").to_numpy())
    return profile


def dense(daily: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    """Give a table one row for every entity and day up to the last, beginning 27 empty days before the log.

    Because of the empty days a window of 28 rows never reaches into the previous entity, so one rolling
    pass over the whole table needs no groups.

    Args:
        daily: a table indexed by entity and day.
        last_day: the last day of the result.
    """
    entities, days = daily.index.levels
    span = pd.date_range(days[0] - (LONG - 1) * DAY, last_day, unit="us")
    return daily.reindex(pd.MultiIndex.from_product([entities, span], names=daily.index.names))


def snapshots(statistics: pd.DataFrame, active: pd.Series) -> pd.DataFrame:
    """The statistics of the days that have activity in their window, stamped with the end of the day.

    Args:
        statistics: one row per entity and day of a `dense` table.
        active: number of interactions in the 28 days that end with the row's day.
    """
    day = statistics.index.get_level_values("day")
    rows = statistics[(day >= day[0] + (LONG - 1) * DAY) & (active > 0).to_numpy()].reset_index()
    rows["event_timestamp"] = rows.pop("day") + DAY
    return rows.sort_values("event_timestamp", kind="stable", ignore_index=True)


def share(part, whole: pd.Series):
    """`part / whole`, or 0 where `whole` is 0 or null."""
    return part.div(whole.where(whole > 0), axis=0).fillna(0).astype("float32")


def user_daily(interactions: pd.DataFrame, vectors: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    """Plays, skip rates and shares of genres and content types of each listener over 7 and 28 days."""
    ids = interactions["item_id"].cat
    plays = interactions["plays"]
    played = vectors.reindex(ids.categories).iloc[ids.codes].set_axis(interactions.index).mul(plays, axis=0)
    groups = pd.concat([interactions[["user_id", "day", "plays", "skips"]], played], axis=1)
    daily = groups.groupby(["user_id", "day"], observed=True).sum()
    last_play = ((interactions["ts"].dt.floor("s") - EPOCH) // SECOND).where(plays > 0)
    daily["last_play"] = last_play.groupby([interactions["user_id"], interactions["day"]], observed=True).max()
    table = dense(daily, last_day)
    short = table[["plays", "skips"]].rolling(SHORT, min_periods=1).sum().fillna(0)
    long = table.drop(columns="last_play").rolling(LONG, min_periods=1).sum().fillna(0)
    last_play = table["last_play"].rolling(LONG, min_periods=1).max()
    midnight = (table.index.get_level_values("day") + DAY - EPOCH) // SECOND
    statistics = share(long[vectors.columns], long["plays"]).assign(
        user_plays_7d=short["plays"].astype("float32"),
        user_plays_28d=long["plays"].astype("float32"),
        user_skip_rate_7d=share(short["skips"], short["plays"] + short["skips"]),
        user_skip_rate_28d=share(long["skips"], long["plays"] + long["skips"]),
        hours_since_last_play=((midnight - last_play) / 3600).fillna(24 * LONG).astype("float32"),
    )
    return snapshots(statistics, long["plays"] + long["skips"])


def item_daily(interactions: pd.DataFrame, items: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    """Plays, skip and like rates, trend and age of each item over 7 and 28 days."""
    daily = interactions.groupby(["item_id", "day"], observed=True)[["plays", "skips", "likes"]].sum()
    table = dense(daily, last_day)
    short = table["plays"].rolling(SHORT, min_periods=1).sum().fillna(0)
    long = table.rolling(LONG, min_periods=1).sum().fillna(0)
    active = long["plays"] + long["skips"]
    statistics = pd.DataFrame({
        "item_plays_7d": short.astype("float32"),
        "item_plays_28d": long["plays"].astype("float32"),
        "item_skip_rate_28d": share(long["skips"], active),
        "item_like_rate_28d": share(long["likes"], active),
        "item_trend": share(short * (LONG / SHORT), long["plays"]),
    })  # fmt: skip
    rows = snapshots(statistics, active)
    released = pd.to_datetime(items.set_index("item_id")["release_date"], utc=True)
    age = (rows["event_timestamp"] - rows["item_id"].astype(str).map(released)) // DAY
    return rows.assign(item_age_days=age.clip(lower=0).fillna(-1).astype("float32"))


def examples(events: pd.DataFrame, durations: pd.Series) -> pd.DataFrame:
    """One row per impression, labelled by the interactions that followed it under the same request.

    If none followed, all labels are 0. A play of unknown length makes `label_play`, `label_complete` and
    `label_listen` null; an item of unknown duration makes `label_complete` null.

    Args:
        events: the log, from `read_events`.
        durations: duration of each item in ms, indexed by item; 0 means unknown.
    """
    keys = ["user_id", "item_id", "request_id"]
    interactions = events[events["action"].isin(schema.INTERACTIONS)]
    played, length = interactions["action"] == schema.PLAY, interactions["ms_played"]
    full = schema.COMPLETE_SHARE * interactions["item_id"].map(durations).astype("float64")
    outcomes = interactions[keys].assign(
        label_play=(played & (length >= schema.PLAY_THROUGH_MS)).astype("float32").mask(played & length.isna()),
        label_complete=(played & (length >= full)).astype("float32").mask(played & length.isna()),
        label_skip=(interactions["action"] == schema.SKIP).astype("float32"),
        label_like=(interactions["action"] == schema.LIKE).astype("float32"),
        label_add=(interactions["action"] == schema.ADD).astype("float32"),
        followed=True,
    )
    labels = outcomes.groupby(keys, observed=True, as_index=False).max()
    listened = interactions.groupby(keys, observed=True, as_index=False)["ms_played"].sum(min_count=1)
    labels["label_listen"] = np.log1p(listened["ms_played"].astype("float64") / 1000).astype("float32")
    shown = events.loc[events["action"] == schema.IMPRESSION, SHOWN]
    labelled = shown.merge(labels, on=keys, how="left")
    names = list(schema.LABEL_COLUMNS)
    labelled[names] = labelled[names].where(labelled["followed"].notna(), 0)
    labelled["label_complete"] = labelled["label_complete"].mask(
        ~labelled["item_id"].map(durations).astype("float64").gt(0)
    )
    labelled["positive"] = (labelled["label_play"] == 1) | (labelled["label_like"] == 1)
    return labelled.drop(columns="followed")


def counts_before(
    shown: pd.DataFrame, interactions: pd.DataFrame, key: str, counts: dict[str, pd.Series]
) -> pd.DataFrame:
    """Running counts of a listener or a session, as they stood strictly before each example.

    Args:
        shown: the examples, in order of time.
        interactions: the interactions, in order of time.
        key: the column to count by: `user_id` or `session_id`.
        counts: for each count's name, the number that each interaction adds to it.
    """
    running = interactions[["ts", key]].assign(
        **pd.DataFrame(counts).groupby(interactions[key], observed=True).cumsum()
    )
    latest = pd.merge_asof(shown[["ts", key]], running.dropna(subset=key), on="ts", by=key, allow_exact_matches=False)
    return latest[list(counts)].fillna(0)


def histories(shown: pd.DataFrame, interactions: pd.DataFrame, n_before: pd.Series) -> dict[str, list]:
    """The listener's last 50 interactions before each example, oldest first.

    Args:
        shown: the examples.
        interactions: the interactions, in order of time.
        n_before: number of the listener's interactions before each example.
    """
    by_user = interactions.sort_values("user_id", kind="stable")
    counts = by_user["user_id"].value_counts(sort=False).reindex(by_user["user_id"].cat.categories)
    first = (counts.cumsum() - counts).to_numpy()[shown["user_id"].cat.codes]
    end = first + n_before.to_numpy("int64")
    begin = np.maximum(first, end - HISTORY)
    sequences = {
        "history_items": by_user["item_id"].astype(object),
        "history_actions": by_user["action"].astype(object),
        "history_times": (by_user["ts"] - EPOCH) // SECOND,
    }
    return {
        name: [values[a:b] for a, b in zip(begin, end, strict=True)]
        for name, values in ((name, series.to_numpy()) for name, series in sequences.items())
    }


def training_set(events: pd.DataFrame, tables: Features) -> pd.DataFrame:
    """Join every example with the features as they were at its time.

    Args:
        events: the log, from `read_events`.
        tables: the log's features, from `features`.
    """
    interactions = events[events["action"].isin(schema.INTERACTIONS)]
    table = examples(events, (tables.items.set_index("item_id")["duration_s"] * 1000).round())
    n_before = counts_before(table, interactions, "user_id", {"n": pd.Series(1, interactions.index)})["n"]
    skips = (interactions["action"] == schema.SKIP).astype("int64")
    session = counts_before(table, interactions, "session_id", {"plays": 1 - skips, "skips": skips})
    lists = histories(table, interactions, n_before)
    table["session_plays"] = session["plays"].astype("float32")
    table["session_skips"] = session["skips"].astype("float32")
    for key, daily in (("user_id", tables.user_daily), ("item_id", tables.item_daily)):
        table = pd.merge_asof(table, daily, left_on="ts", right_on="event_timestamp", by=key, tolerance=DAY).drop(
            columns="event_timestamp"
        )
    table = table.merge(tables.items, on="item_id", how="left").merge(tables.users, on="user_id", how="left")
    return on_demand(table, tables.vectors).assign(**lists)


def on_demand(table: pd.DataFrame, vectors: pd.DataFrame) -> pd.DataFrame:
    """Add the features that need listener, item and time together, and gather the shares into lists."""
    genres = [name for name in vectors if name.startswith("genre_")]
    content_types = [name for name in vectors if name.startswith("type_")]
    weights = vectors[genres].reindex(table["item_id"]).to_numpy()
    table["genre_affinity"] = np.nansum(table[genres].to_numpy() * weights, axis=1)
    age = ((table["ts"] - EPOCH) // SECOND - table["release_ts"]).clip(lower=0) / 86_400
    table["age_at_request_days"] = age.where(table["release_ts"] != 0, -1).astype("float32")
    unknown = table["user_plays_28d"].isna()
    for name, columns in (("genre_shares", genres), ("content_type_shares", content_types)):
        table[name] = list(table[columns].to_numpy())
        table[name] = table[name].mask(unknown, None)
    return table.drop(columns=[*genres, *content_types])


def write(table: pd.DataFrame, split: Split, out: Path) -> None:
    """Write `{train,validation,test}.parquet`, cut by global time."""
    parts = {
        "train": table["ts"] < split.train_end,
        "validation": (table["ts"] >= split.train_end) & (table["ts"] < split.validation_end),
        "test": table["ts"] >= split.validation_end,
    }
    for name, rows in parts.items():
        table[rows].to_parquet(out / f"{name}.parquet", compression="zstd", index=False)
