"""Feature transformations as Ibis expressions, so that the same definitions run on DuckDB or Spark.

Statistics are daily. The snapshot of day D covers the events up to the end of D and is stamped with
that instant, so a point-in-time join on `<=` never shows an event its own day. Each entity has a
snapshot for every day with activity in the 28 days up to it. The views can therefore have a ttl of
one day, which keeps the join cheap: its cost is the number of rows times the snapshots inside the ttl.

Histories are exact to the event. `recent` counts the interactions that had arrived strictly before each event, and
`histories` takes the last 50 of them from the listener's sequence, which is in order of arrival.
"""

from datetime import datetime, timedelta

import ibis
from ibis import _
from ibis.expr.types import Table, Value

from events import schema
from events.labels import KEYS
from feature_repo.item_age import age_in_days

SHORT, LONG = 7, 28  # days that the statistics look back
HISTORY = 50  # interactions in a history, at most
DAY_SECONDS = 86_400
DAILY = timedelta(days=1)  # time between two snapshots, and ttl of the daily views

TIMESTAMP = "timestamp('UTC', 6)"
EPOCH = ibis.timestamp("1970-01-01")


def interactions(events: Table, *more: str) -> Table:
    """Return the interactions (all events but impressions) with their UTC day as an integer and their arrival.

    `more` names further columns of `events` to keep.
    """
    done = events.filter(_.action.isin(schema.INTERACTIONS))
    return done.select(
        "event_id", "user_id", "item_id", "session_id", "ts", "action", "surface", *more,
        day=day_number(done.ts), arrival=arrival(done),
    )  # fmt: skip


def arrival(events: Table) -> Value:
    """Return when each event came: `received`, or `ts` where the log does not say so.

    A play of 10:00:00 that came at 10:00:40 was not in the history that a page of 10:00:20 was served with.
    """
    if schema.RECEIVED.name not in events.columns:
        return events.ts
    return ibis.greatest(events.ts, events[schema.RECEIVED.name].fill_null(events.ts))


def since_epoch(ts, unit: str) -> Value:
    """Return the whole days or seconds from 1970-01-01 UTC to a time or date, as an integer."""
    # Engines run in UTC, so the zone can be dropped. Without it DuckDB takes a fifth of the time.
    return ts.cast("timestamp").delta(EPOCH, unit=unit)


def day_number(ts) -> Value:
    """Return the days since 1970-01-01 UTC, as an integer."""
    return since_epoch(ts, "day").cast("int32")


def stamp(day) -> Value:
    """Return the end of day `day` as a time: the first instant that may see the day's snapshot."""
    return end_of_day(day).as_timestamp("s").cast(TIMESTAMP)


def end_of_day(day) -> Value:
    """Return the end of day `day` in seconds since 1970 UTC."""
    return (day.cast("int64") + 1) * DAY_SECONDS


def release_seconds(release_date) -> Value:
    """Return a release date in seconds since 1970 UTC, 0 if it is unknown."""
    return since_epoch(release_date, "second").fill_null(0)


def item_vectors(items: Table, genres: list[str], content_types: list[str]) -> Table:
    """Return each item's genre weights and its content type as a one-hot vector, one float column per entry.

    The columns are `genre_0`, `genre_1`, … and `type_0`, `type_1`, …, in the order of the vocabularies. The genres
    of an item share a weight of 1 equally. Genres outside the vocabulary do not count, so an item without any genre
    of the vocabulary has only zeros.
    """
    has_genre = [items.genres.contains(g).fill_null(False).cast("float32") for g in genres]
    total = sum(has_genre[1:], has_genre[0]).nullif(0)
    has_type = [(items.content_type == t).fill_null(False).cast("float32") for t in content_types]
    return items.select(
        "item_id",
        **{f"genre_{i}": (m / total).fill_null(0.0).cast("float32") for i, m in enumerate(has_genre)},
        **{f"type_{i}": t for i, t in enumerate(has_type)},
    )


def daily_counts(done: Table, key: str, extra: list[str]) -> Table:
    """Count the plays, skips and likes of each entity and active day, and sum the `extra` columns over its plays.

    Every interaction but a skip counts as a play.
    """
    played = _.action != schema.SKIP
    return done.group_by(key, "day").agg(
        plays=played.sum().cast("float32"),
        skips=(_.action == schema.SKIP).sum().cast("float32"),
        likes=(_.action == schema.LIKE).sum().cast("float32"),
        last_play=_.ts.max(where=played),
        **{name: _[name].sum(where=played).fill_null(0.0).cast("float32") for name in extra},
    )


def windows(daily: Table, last_day: int) -> Table:
    """Copy each active day to the 28 snapshots whose windows include it: those of its own day and the 27 days after.

    The statistics of a snapshot are then one aggregation over its copies, without window functions
    and without rows for inactive days.

    Args:
        daily: one row per entity and active day, with `day`.
        last_day: the last complete day of the log, which has the last snapshot.

    Returns:
        The copies, with `day` the snapshot's day and `back` the days from the activity to the snapshot.
    """
    copies = daily.mutate(back=ibis.range(0, LONG).unnest().cast("int32"))
    return copies.mutate(day=_.day + _.back).filter(_.day <= last_day)


def ratio(part: Value, whole: Value) -> Value:
    """Return `part / whole`, 0 where `whole` is 0."""
    return (part / whole.nullif(0)).fill_null(0.0).cast("float32")


def user_daily(events: Table, items: Table, genres: list[str], content_types: list[str], last_day: int) -> Table:
    """Compute daily statistics of listeners over 7 and 28 days.

    Returns:
        `user_id, event_timestamp, user_plays_{7,28}d, user_skip_rate_{7,28}d`;
        `hours_since_last_play` at the end of the day, 24 · 28 without a play in 28 days;
        `genre_shares` `[genres]` and `content_type_shares` `[content_types]`: the shares of the
        plays in 28 days. A play outside of a vocabulary counts in the whole but has no share,
        so the shares sum to at most 1.
    """
    vectors = item_vectors(items, genres, content_types)
    names = [name for name in vectors.columns if name != "item_id"]
    done = interactions(events).left_join(vectors, "item_id")
    copies = windows(daily_counts(done, "user_id", names), last_day)
    sums = copies.group_by("user_id", "day").agg(
        p7=_.plays.sum(where=_.back < SHORT).fill_null(0.0),
        s7=_.skips.sum(where=_.back < SHORT).fill_null(0.0),
        p28=_.plays.sum(),
        s28=_.skips.sum(),
        last_play=_.last_play.max(),
        **{name: _[name].sum() for name in names},
    )
    return sums.select(
        "user_id",
        event_timestamp=stamp(sums.day),
        user_plays_7d=_.p7.cast("float32"),
        user_plays_28d=_.p28.cast("float32"),
        user_skip_rate_7d=ratio(_.s7, _.p7 + _.s7),
        user_skip_rate_28d=ratio(_.s28, _.p28 + _.s28),
        hours_since_last_play=((end_of_day(sums.day) - since_epoch(sums.last_play, "second")) / 3600.0)
        .fill_null(24.0 * LONG)
        .cast("float32"),
        genre_shares=ibis.array([ratio(sums[n], sums.p28) for n in names if n.startswith("genre_")]),
        content_type_shares=ibis.array([ratio(sums[n], sums.p28) for n in names if n.startswith("type_")]),
    )


def item_daily(events: Table, items: Table, last_day: int) -> Table:
    """Compute daily statistics of items over 7 and 28 days.

    Returns:
        `item_id, event_timestamp, item_plays_{7,28}d, item_skip_rate_28d, item_like_rate_28d`;
        `item_trend`: plays per day in the last 7 days over plays per day in the last 28;
        `item_age_days`: the age at the end of the day (see `age_in_days`).
    """
    copies = windows(daily_counts(interactions(events), "item_id", []), last_day)
    sums = (
        copies.group_by("item_id", "day")
        .agg(
            p7=_.plays.sum(where=_.back < SHORT).fill_null(0.0),
            p28=_.plays.sum(),
            s28=_.skips.sum(),
            l28=_.likes.sum(),
        )
        .left_join(items.select("item_id", "release_date"), "item_id")
    )
    age = age_in_days(release_seconds(sums.release_date), end_of_day(sums.day), ibis.ifelse, ibis.greatest)
    return sums.select(
        "item_id",
        event_timestamp=stamp(sums.day),
        item_plays_7d=_.p7.cast("float32"),
        item_plays_28d=_.p28.cast("float32"),
        item_skip_rate_28d=ratio(_.s28, _.p28 + _.s28),
        item_like_rate_28d=ratio(_.l28, _.p28 + _.s28),
        item_trend=ratio(_.p7 * (LONG / SHORT), _.p28),
        item_age_days=age.cast("float32"),
    )


def item_profile(items: Table, genres: list[str], content_types: list[str], since: datetime) -> Table:
    """Return the features of each item that do not change, valid from `since` on; unknown strings are empty.

    Returns:
        `item_id, event_timestamp, creator_id, content_type, language`; `duration_s` (0 if unknown);
        `release_ts` (seconds since 1970 UTC, 0 if unknown); `genre_weights` `[genres]`.
    """
    vectors = item_vectors(items, genres, content_types)
    joined = items.left_join(vectors, "item_id")
    return joined.select(
        "item_id",
        event_timestamp=ibis.literal(since, type=TIMESTAMP),
        creator_id=_.creator_id.fill_null(""),
        content_type=_.content_type.fill_null(""),
        language=_.language.fill_null(""),
        duration_s=(_.duration_ms / 1000).fill_null(0.0).cast("float32"),
        release_ts=release_seconds(joined.release_date),
        genre_weights=ibis.array([joined[f"genre_{i}"] for i in range(len(genres))]),
    )


def item_content(items: Table) -> Table:
    """Return the item columns that only the models' catalogue uses.

    Returns:
        `item_id`; `markets` (null if the item is available everywhere); `text`, the title and the description.
    """
    return items.select("item_id", "markets", text=_.title + " " + _.description.fill_null(""))


def user_profile(users: Table, since: datetime) -> Table:
    """Return each listener's profile, valid from `since` on; unknown strings are empty."""
    return users.select(
        "user_id",
        event_timestamp=ibis.literal(since, type=TIMESTAMP),
        country=_.country.fill_null(""),
        age_band=_.age_band.fill_null(""),
        plan=_.plan.fill_null(""),
    )


def in_order(done: Table, **values: Value) -> Table:
    """Collect each listener's interactions in order of arrival: lists `items`, `actions`, `times` and `values`."""
    columns = {"items": _.item_id, "actions": _.action, "times": since_epoch(done.ts, "second"), **values}
    order = [_.arrival, _.ts, _.event_id]
    return done.group_by("user_id").agg(**{name: value.collect(order_by=order) for name, value in columns.items()})


def sequences(events: Table) -> Table:
    """Return each listener's interactions in order of arrival: `user_id` and the lists `items`, `actions`, `times`."""
    return in_order(interactions(events))


def requested_sequences(events: Table) -> Table:
    """Return `sequences` with two more lists: `surfaces`, and `asked`, the request time of each entry.

    The sequence model predicts an entry from its request time, which is the time of the item's impression. The time
    of the interaction would leak how long the item was played. It stands in only where the log has no impression.
    A surface that the log does not state is empty.
    """
    shown = events.filter((_.action == schema.IMPRESSION) & _.request_id.notnull()).group_by(KEYS).agg(shown=_.ts.min())
    done = interactions(events, "request_id").left_join(shown, KEYS)
    return in_order(
        done,
        surfaces=_.surface.fill_null(""),
        asked=since_epoch(done.shown.fill_null(done.ts), "second"),
    )


def last(sequence: Value, count: Value) -> Value:
    """Return the last 50 of the first `count` entries of a list."""
    return sequence[ibis.greatest(count - HISTORY, 0) : count]


def histories(table: Table, listeners: Table) -> Table:
    """Add to each row the last 50 of the listener's first `n_before` interactions.

    Args:
        table: rows with `user_id` and `n_before`.
        listeners: `sequences` of the same log.

    Returns:
        `table` with `history_items`, `history_actions` and `history_times` (seconds since 1970
        UTC), oldest first; empty for a listener without interactions.
    """
    joined = table.left_join(listeners, "user_id").drop("user_id_right")
    empty = {"items": "array<string>", "actions": "array<string>", "times": "array<int64>"}
    return joined.mutate(
        **{
            f"history_{name}": last(joined[name], joined.n_before).fill_null(ibis.literal([], type=dtype))
            for name, dtype in empty.items()
        }
    ).drop(*empty)


def user_history(events: Table, last_day: int) -> Table:
    """Return the last 50 interactions that had arrived at the end of each day with an arrival, by listener."""
    arrived = interactions(events).mutate(day=day_number(_.arrival))
    done = arrived.filter(_.day <= last_day)
    days = done.group_by("user_id", "day").agg(n=_.count())
    counted = days.mutate(
        n_before=_.n.sum().over(ibis.cumulative_window(group_by="user_id", order_by="day")).cast("int32")
    )
    rows = histories(counted, sequences(events))
    return rows.select(
        "user_id",
        "history_items",
        "history_actions",
        "history_times",
        event_timestamp=stamp(rows.day),
    )


def session_context(events: Table, last_day: int) -> Table:
    """Count the plays and skips of each session that went on after the last snapshot.

    Returns:
        `session_id, session_plays, session_skips`, and the time of the session's last interaction as
        `event_timestamp`.
    """
    done = interactions(events).filter(_.session_id.notnull())
    states = done.group_by("session_id").agg(
        event_timestamp=_.ts.max(),
        session_plays=(_.action != schema.SKIP).sum().cast("float32"),
        session_skips=(_.action == schema.SKIP).sum().cast("float32"),
    )
    return states.filter(day_number(states.event_timestamp) > last_day)


def recent(events: Table) -> Table:
    """Count the interactions that had arrived strictly before each event.

    Returns:
        `event_id`; `n_before`, the listener's interactions; `session_plays` and `session_skips`, those
        of the session, 0 without a session id. Events of the same microsecond do not count each other.
    """
    events = events.mutate(arrival=arrival(events))
    # `n_before` is int32, because DuckDB sums into HUGEINT, which Parquet lacks, and Ibis drops a cast to
    # int64, the type that it believes the sum already has.
    before = (None, ibis.interval(microseconds=1))
    user = ibis.range_window(group_by="user_id", order_by="arrival", preceding=before)
    session = ibis.range_window(group_by="session_id", order_by="arrival", preceding=before)
    done = events.action.isin(schema.INTERACTIONS).cast("int64")
    skip = (events.action == schema.SKIP).cast("int64")
    counted = events.select(
        "event_id",
        "session_id",
        n_before=done.sum().over(user),
        session_done=done.sum().over(session),
        session_skips=skip.sum().over(session),
    )
    has_session = counted.session_id.notnull()
    skips = has_session.ifelse(counted.session_skips, 0).fill_null(0)
    return counted.select(
        "event_id",
        n_before=_.n_before.fill_null(0).cast("int32"),
        session_plays=(has_session.ifelse(counted.session_done, 0).fill_null(0) - skips).cast("float32"),
        session_skips=skips.cast("float32"),
    )
