"""The peer of `segue bench features`: the same training set in plain pandas.

Written as a careful user of pandas would write it: whole columns at a time, repetitive columns as
categories, one groupby a table, rolling windows over dense tables of entities and days, `merge_asof`
for what was known at an instant. Nothing is taken from `feature_repo`, so that equal values say
something about both. It reads logs with impressions, and leaves out what only the online store needs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from events import schema
from events.splits import Split

SHORT, LONG = 7, 28  # days that the statistics look back
HISTORY = 50  # interactions that a history holds
MAX_GENRES, MAX_CONTENT_TYPES = 24, 8
DAY = pd.Timedelta(days=1).as_unit("us")  # the unit of the log: sums of mixed units are in ns
SECOND = pd.Timedelta(seconds=1)
EPOCH = pd.Timestamp(0, tz="UTC")
CATEGORIES = ["user_id", "item_id", "session_id", "surface", "action"]
SHOWN = ["event_id", "user_id", "item_id", "ts", "session_id", "request_id", "surface", "position", "propensity"]
COLUMNS = [*SHOWN, "action", "ms_played"]


@dataclass(frozen=True)
class Features:
    """What the training set is joined from.

    Args:
        users, items: profiles, one row an id.
        user_daily, item_daily: one row an entity and day with activity in the 28 days before, sorted
            by `event_timestamp` (the end of the day). Shares are columns `genre_<i>` and `type_<i>`.
        vectors: indexed by item, its weights `genre_<i>` and `type_<i>`.
    """

    users: pd.DataFrame
    items: pd.DataFrame
    user_daily: pd.DataFrame
    item_daily: pd.DataFrame
    vectors: pd.DataFrame


def read_events(ingested: Path) -> pd.DataFrame:
    """The log; categories take a fraction of the memory of strings and group faster."""
    events = pd.read_parquet(ingested / "events.parquet", columns=COLUMNS)
    return events.astype(dict.fromkeys(CATEGORIES, "category"))


def features(ingested: Path, events: pd.DataFrame) -> Features:
    """Profiles and daily statistics of a log.

    Args:
        ingested: the folder with `items.parquet` and `users.parquet`.
        events: its log, of `read_events`.
    """
    items, users = (pd.read_parquet(ingested / f"{name}.parquet") for name in ("items", "users"))
    vectors = item_vectors(items)
    done = events.loc[events["action"].isin(schema.INTERACTIONS), ["user_id", "item_id", "ts", "action"]]
    done["day"] = done["ts"].dt.floor("D")
    done["skips"] = (done["action"] == schema.SKIP).astype("float32")
    done["plays"] = 1 - done["skips"]
    done["likes"] = (done["action"] == schema.LIKE).astype("float32")
    last_day = events["ts"].iloc[-1].floor("D") - DAY  # the day of the last event may still be running
    done = done[done["day"] <= last_day]
    return Features(
        users[["user_id", "country", "age_band", "plan"]].fillna(""),
        item_profile(items, vectors),
        user_daily(done, vectors, last_day),
        item_daily(done, items, last_day),
        vectors,
    )


def most_common(values: pd.Series, limit: int) -> list[str]:
    """The most frequent values, sorted by name."""
    counts = values[values != ""].value_counts().sort_index()
    return sorted(counts.sort_values(ascending=False, kind="stable").index[:limit])


def item_vectors(items: pd.DataFrame) -> pd.DataFrame:
    """Each item's weights in the most frequent genres, and its place among the content types."""
    exploded = items.set_index("item_id")["genres"].explode()
    genres, kinds = most_common(exploded, MAX_GENRES), most_common(items["content_type"], MAX_CONTENT_TYPES)
    member = pd.get_dummies(exploded[exploded.isin(genres)], dtype="float32").groupby(level=0).max()
    member = member.reindex(index=items["item_id"], columns=genres, fill_value=0)
    weights = share(member, member.sum(axis=1))
    weights.columns = [f"genre_{i}" for i in range(len(genres))]
    for i, kind in enumerate(kinds):
        weights[f"type_{i}"] = (items["content_type"] == kind).to_numpy("float32")
    return weights


def item_profile(items: pd.DataFrame, vectors: pd.DataFrame) -> pd.DataFrame:
    """What is known of an item from the start; unknown strings are empty, unknown numbers 0."""
    profile = items[["item_id", "creator_id", "content_type", "language"]].fillna("")
    profile["duration_s"] = (items["duration_ms"] / 1000).fillna(0).astype("float32")
    released = pd.to_datetime(items["release_date"], utc=True)
    profile["release_ts"] = ((released - EPOCH) // SECOND).fillna(0).astype("int64")
    profile["genre_weights"] = list(vectors.filter(like="genre_").to_numpy())
    return profile


def dense(daily: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    """A row for every entity and day up to the last, beginning 27 empty days before the log.

    The empty days keep a window of 28 rows from reaching into the entity above, so that one rolling
    pass over the whole table does without groups.

    Args:
        daily: indexed by entity and day.
        last_day: the last day of the table.
    """
    entities, days = daily.index.levels
    span = pd.date_range(days[0] - (LONG - 1) * DAY, last_day, unit="us")
    return daily.reindex(pd.MultiIndex.from_product([entities, span], names=daily.index.names))


def snapshots(statistics: pd.DataFrame, active: pd.Series) -> pd.DataFrame:
    """The statistics of the days on which they are known, stamped with the end of the day.

    Args:
        statistics: one row an entity and day of a `dense` table.
        active: interactions in the window that ends with the day.
    """
    day = statistics.index.get_level_values("day")
    known = statistics[(day >= day[0] + (LONG - 1) * DAY) & (active > 0).to_numpy()].reset_index()
    known["event_timestamp"] = known.pop("day") + DAY
    return known.sort_values("event_timestamp", kind="stable", ignore_index=True)


def share(part, whole: pd.Series):
    """`part / whole`, 0 where `whole` is 0 or unknown."""
    return part.div(whole.where(whole > 0), axis=0).fillna(0).astype("float32")


def user_daily(done: pd.DataFrame, vectors: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    """Plays, skips and shares of listeners over 7 and 28 days."""
    ids = done["item_id"].cat
    played = vectors.reindex(ids.categories).iloc[ids.codes].set_axis(done.index).mul(done["plays"], axis=0)
    groups = pd.concat([done[["user_id", "day", "plays", "skips"]], played], axis=1)
    daily = groups.groupby(["user_id", "day"], observed=True).sum()
    last_play = ((done["ts"].dt.floor("s") - EPOCH) // SECOND).where(done["plays"] > 0)
    daily["last_play"] = last_play.groupby([done["user_id"], done["day"]], observed=True).max()
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


def item_daily(done: pd.DataFrame, items: pd.DataFrame, last_day: pd.Timestamp) -> pd.DataFrame:
    """Plays, skips, likes and age of items over 7 and 28 days."""
    daily = done.groupby(["item_id", "day"], observed=True)[["plays", "skips", "likes"]].sum()
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
    known = snapshots(statistics, active)
    released = pd.to_datetime(items.set_index("item_id")["release_date"], utc=True)
    age = (known["event_timestamp"] - known["item_id"].astype(str).map(released)) // DAY
    return known.assign(item_age_days=age.fillna(-1).astype("float32"))


def examples(events: pd.DataFrame, durations: pd.Series) -> pd.DataFrame:
    """One row an impression, labelled by what followed it under the same request.

    Nothing followed: all labels are 0. A play of unknown length leaves `label_play`, `label_complete` and
    `label_listen` unknown; an item of unknown duration leaves `label_complete`.

    Args:
        events: the log, of `read_events`.
        durations: milliseconds, indexed by item; 0 is unknown.
    """
    keys = ["user_id", "item_id", "request_id"]
    done = events[events["action"].isin(schema.INTERACTIONS)]
    played, length = done["action"] == schema.PLAY, done["ms_played"]
    full = schema.COMPLETE_SHARE * done["item_id"].map(durations).astype("float64")
    outcomes = done[keys].assign(
        label_play=(played & (length >= schema.PLAY_THROUGH_MS)).astype("float32").mask(played & length.isna()),
        label_complete=(played & (length >= full)).astype("float32").mask(played & length.isna()),
        label_skip=(done["action"] == schema.SKIP).astype("float32"),
        label_like=(done["action"] == schema.LIKE).astype("float32"),
        label_add=(done["action"] == schema.ADD).astype("float32"),
        followed=True,
    )
    labels = outcomes.groupby(keys, observed=True, as_index=False).max()
    heard = done.groupby(keys, observed=True, as_index=False)["ms_played"].sum(min_count=1)
    labels["label_listen"] = np.log1p(heard["ms_played"].astype("float64") / 1000).astype("float32")
    shown = events.loc[events["action"] == schema.IMPRESSION, SHOWN]
    labelled = shown.merge(labels, on=keys, how="left")
    names = list(schema.LABEL_COLUMNS)
    labelled[names] = labelled[names].where(labelled["followed"].notna(), 0)
    labelled["label_complete"] = labelled["label_complete"].mask(
        ~labelled["item_id"].map(durations).astype("float64").gt(0)
    )
    labelled["positive"] = (labelled["label_play"] == 1) | (labelled["label_like"] == 1)
    return labelled.drop(columns="followed")


def before(shown: pd.DataFrame, done: pd.DataFrame, key: str, counts: dict[str, pd.Series]) -> pd.DataFrame:
    """Running counts of one user or session, as they stood strictly before each example.

    Args:
        shown: the examples, in order of time.
        done: the interactions, in order of time.
        key: whose counts.
        counts: for each name, what an interaction adds.
    """
    running = done[["ts", key]].assign(**pd.DataFrame(counts).groupby(done[key], observed=True).cumsum())
    known = pd.merge_asof(shown[["ts", key]], running.dropna(subset=key), on="ts", by=key, allow_exact_matches=False)
    return known[list(counts)].fillna(0)


def histories(shown: pd.DataFrame, done: pd.DataFrame, n_before: pd.Series) -> dict[str, list]:
    """The listener's last 50 interactions before each example, oldest first.

    Args:
        shown: the examples.
        done: the interactions, in order of time.
        n_before: how many of the listener's interactions came before each example.
    """
    done = done.sort_values("user_id", kind="stable")
    counts = done["user_id"].value_counts(sort=False).reindex(done["user_id"].cat.categories)
    first = (counts.cumsum() - counts).to_numpy()[shown["user_id"].cat.codes]
    end = first + n_before.to_numpy("int64")
    begin = np.maximum(first, end - HISTORY)
    sequences = {
        "history_items": done["item_id"].astype(object),
        "history_actions": done["action"].astype(object),
        "history_times": (done["ts"] - EPOCH) // SECOND,
    }
    return {
        name: [values[a:b] for a, b in zip(begin, end, strict=True)]
        for name, values in ((name, series.to_numpy()) for name, series in sequences.items())
    }


def training_set(events: pd.DataFrame, known: Features) -> pd.DataFrame:
    """Every example with what was known at its time.

    Args:
        events: the log, of `read_events`.
        known: its `features`.
    """
    done = events[events["action"].isin(schema.INTERACTIONS)]
    table = examples(events, (known.items.set_index("item_id")["duration_s"] * 1000).round())
    n_before = before(table, done, "user_id", {"n": pd.Series(1, done.index)})["n"]
    skips = (done["action"] == schema.SKIP).astype("int64")
    session = before(table, done, "session_id", {"plays": 1 - skips, "skips": skips})
    lists = histories(table, done, n_before)
    table["session_plays"] = session["plays"].astype("float32")
    table["session_skips"] = session["skips"].astype("float32")
    for key, daily in (("user_id", known.user_daily), ("item_id", known.item_daily)):
        table = pd.merge_asof(table, daily, left_on="ts", right_on="event_timestamp", by=key, tolerance=DAY).drop(
            columns="event_timestamp"
        )
    table = table.merge(known.items, on="item_id", how="left").merge(known.users, on="user_id", how="left")
    return on_demand(table, known.vectors).assign(**lists)


def on_demand(table: pd.DataFrame, vectors: pd.DataFrame) -> pd.DataFrame:
    """Add what the pairing of listener, item and time tells, and gather the shares into lists."""
    genres = [name for name in vectors if name.startswith("genre_")]
    kinds = [name for name in vectors if name.startswith("type_")]
    weights = vectors[genres].reindex(table["item_id"]).to_numpy()
    table["genre_affinity"] = np.nansum(table[genres].to_numpy() * weights, axis=1)
    age = ((table["ts"] - EPOCH) // SECOND - table["release_ts"]).clip(lower=0) / 86_400
    table["age_at_request_days"] = age.where(table["release_ts"] != 0, -1).astype("float32")
    unknown = table["user_plays_28d"].isna()
    for name, columns in (("genre_shares", genres), ("content_type_shares", kinds)):
        table[name] = list(table[columns].to_numpy())
        table[name] = table[name].mask(unknown, None)
    return table.drop(columns=[*genres, *kinds])


def write(table: pd.DataFrame, split: Split, out: Path) -> None:
    """Write `{train,validation,test}.parquet`, cut by global time."""
    parts = {
        "train": table["ts"] < split.train_end,
        "validation": (table["ts"] >= split.train_end) & (table["ts"] < split.validation_end),
        "test": table["ts"] >= split.validation_end,
    }
    for name, rows in parts.items():
        table[rows].to_parquet(out / f"{name}.parquet", compression="zstd", index=False)
