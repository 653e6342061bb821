"""Feature transformations: Ibis expressions, so the same definitions run on DuckDB or Spark.

Statistics are daily. The snapshot of day D knows the events up to the end of D and is stamped with
that instant, so a point-in-time join on `<=` never shows an event its own day. There is a row for
every entity and day with activity in the last 28 days: that lets the views keep a ttl of one day,
and the join's cost is rows times snapshots inside the ttl.

What a listener did last is known to the event: `recent` counts what lies strictly before each
event, and `histories` takes the last 50 of that many from the listener's sequence.
"""

from datetime import datetime, timedelta

import ibis
from ibis import _
from ibis.expr.types import Table, Value

from events import schema
from events.labels import KEYS

SHORT, LONG = 7, 28  # days that the statistics look back
HISTORY = 50  # interactions that a history holds
DAY_SECONDS = 86_400
DAILY = timedelta(days=1)  # between two snapshots; also the ttl of the daily views
UNKNOWN_AGE = -1.0  # age of an item without a release date

TIMESTAMP = "timestamp('UTC', 6)"
EPOCH = ibis.timestamp("1970-01-01")


def interactions(events: Table, *more: str) -> Table:
    """What listeners did (not what they were shown), with the UTC day as an integer; `more` names further columns."""
    done = events.filter(_.action.isin(schema.INTERACTIONS))
    return done.select(
        "event_id", "user_id", "item_id", "session_id", "ts", "action", "surface", *more, day=day_number(done.ts)
    )


def since_epoch(ts, unit: str) -> Value:
    """Whole days or seconds from 1970-01-01 UTC to a time or date, as an integer."""
    # Engines run in UTC. Without the zone, DuckDB takes a fifth of the time for the same answer.
    return ts.cast("timestamp").delta(EPOCH, unit=unit)


def day_number(ts) -> Value:
    """Days since 1970-01-01 UTC, as an integer."""
    return since_epoch(ts, "day").cast("int32")


def stamp(day) -> Value:
    """The end of day `day`: the first instant that may see its snapshot."""
    return ((day.cast("int64") + 1) * DAY_SECONDS).as_timestamp("s").cast(TIMESTAMP)


def item_vectors(items: Table, genres: list[str], content_types: list[str]) -> Table:
    """Each item's place in the vocabularies, one float column an entry.

    The weights of an item's genres within the vocabulary sum to 1, or to 0 if it has none of them.
    """
    member = [items.genres.contains(g).fill_null(False).cast("float32") for g in genres]
    total = sum(member[1:], member[0]).nullif(0)
    kind = [(items.content_type == t).fill_null(False).cast("float32") for t in content_types]
    return items.select(
        "item_id",
        **{f"genre_{i}": (m / total).fill_null(0.0).cast("float32") for i, m in enumerate(member)},
        **{f"type_{i}": k for i, k in enumerate(kind)},
    )


def daily_counts(done: Table, key: str, extra: list[str]) -> Table:
    """Counts of one entity and day, and the sums of the `extra` columns over its positive events."""
    positive = _.action != schema.SKIP
    return done.group_by(key, "day").agg(
        plays=positive.sum().cast("float32"),
        skips=(_.action == schema.SKIP).sum().cast("float32"),
        likes=(_.action == schema.LIKE).sum().cast("float32"),
        last_play=_.ts.max(where=positive),
        **{name: _[name].sum(where=positive).fill_null(0.0).cast("float32") for name in extra},
    )


def windows(daily: Table, last_day: int) -> Table:
    """Copy each active day to the 28 snapshots whose windows hold it: its own and the 27 after.

    The statistics of a snapshot are then one aggregation over its copies, without window functions
    and without rows for the days between.

    Args:
        daily: one row an entity and active day, with `day`.
        last_day: snapshots end with it, the last complete day of the log.

    Returns:
        `daily` with `day` the snapshot's day and `back` how many days before it the activity was.
    """
    copies = daily.mutate(back=ibis.range(0, LONG).unnest().cast("int32"))
    return copies.mutate(day=_.day + _.back).filter(_.day <= last_day)


def ratio(part: Value, whole: Value) -> Value:
    """`part / whole`, 0 where `whole` is 0."""
    return (part / whole.nullif(0)).fill_null(0.0).cast("float32")


def user_daily(events: Table, items: Table, genres: list[str], content_types: list[str], last_day: int) -> Table:
    """Daily statistics of listeners over 7 and 28 days.

    Returns:
        `user_id, event_timestamp, user_plays_{7,28}d, user_skip_rate_{7,28}d,
        hours_since_last_play` (at the end of the day), `genre_shares` `[genres]` and
        `content_type_shares` `[content_types]`: shares of the plays of 28 days, summing to at most 1.
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
    end = (sums.day.cast("int64") + 1) * DAY_SECONDS
    return sums.select(
        "user_id",
        event_timestamp=stamp(sums.day),
        user_plays_7d=_.p7.cast("float32"),
        user_plays_28d=_.p28.cast("float32"),
        user_skip_rate_7d=ratio(_.s7, _.p7 + _.s7),
        user_skip_rate_28d=ratio(_.s28, _.p28 + _.s28),
        hours_since_last_play=((end - since_epoch(sums.last_play, "second")) / 3600.0)
        .fill_null(24.0 * LONG)
        .cast("float32"),
        genre_shares=ibis.array([ratio(sums[n], sums.p28) for n in names if n.startswith("genre_")]),
        content_type_shares=ibis.array([ratio(sums[n], sums.p28) for n in names if n.startswith("type_")]),
    )


def item_daily(events: Table, items: Table, last_day: int) -> Table:
    """Daily statistics of items over 7 and 28 days.

    Returns:
        `item_id, event_timestamp, item_plays_{7,28}d, item_skip_rate_28d, item_like_rate_28d,
        item_trend` (plays a day in the last 7 days over plays a day in the last 28) and
        `item_age_days` (at the end of the day, -1 if the release date is unknown).
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
    return sums.select(
        "item_id",
        event_timestamp=stamp(sums.day),
        item_plays_7d=_.p7.cast("float32"),
        item_plays_28d=_.p28.cast("float32"),
        item_skip_rate_28d=ratio(_.s28, _.p28 + _.s28),
        item_like_rate_28d=ratio(_.l28, _.p28 + _.s28),
        item_trend=ratio(_.p7 * (LONG / SHORT), _.p28),
        item_age_days=(sums.day + 1 - day_number(sums.release_date)).fill_null(UNKNOWN_AGE).cast("float32"),
    )


def item_profile(items: Table, genres: list[str], content_types: list[str], since: datetime) -> Table:
    """What is known of an item from the start; unknown strings are empty.

    Returns:
        `item_id, event_timestamp, creator_id, content_type, language, duration_s` (0 if unknown),
        `release_ts` (seconds since the epoch, 0 if unknown), `genre_weights` `[genres]`.
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
        release_ts=since_epoch(joined.release_date, "second").fill_null(0),
        genre_weights=ibis.array([joined[f"genre_{i}"] for i in range(len(genres))]),
    )


def item_content(items: Table) -> Table:
    """What only the models' catalogue holds: `item_id`, `markets` (null: everywhere), `text` (title, description)."""
    return items.select("item_id", "markets", text=_.title + " " + _.description.fill_null(""))


def user_profile(users: Table, since: datetime) -> Table:
    """What a listener stated; unknown strings are empty."""
    return users.select(
        "user_id",
        event_timestamp=ibis.literal(since, type=TIMESTAMP),
        country=_.country.fill_null(""),
        age_band=_.age_band.fill_null(""),
        plan=_.plan.fill_null(""),
    )


def in_order(done: Table, **values: Value) -> Table:
    """Each listener's interactions in order of time: `user_id, items, actions, times` and `values` (lists)."""
    known = {"items": _.item_id, "actions": _.action, "times": since_epoch(done.ts, "second"), **values}
    order = [_.ts, _.event_id]
    return done.group_by("user_id").agg(**{name: value.collect(order_by=order) for name, value in known.items()})


def sequences(events: Table) -> Table:
    """What each listener did, in order of time: `user_id, items, actions, times` (lists)."""
    return in_order(interactions(events))


def requested_sequences(events: Table) -> Table:
    """`sequences` with where and when each entry was asked for: `surfaces`, `asked` (lists).

    A surface that the log does not state is empty. An item was asked for when its impression was; a log without
    impressions knows only when it was heard. An interaction's own time would tell how long its item was heard: what
    predicts the item must not see it.
    """
    shown = events.filter((_.action == schema.IMPRESSION) & _.request_id.notnull()).group_by(KEYS).agg(shown=_.ts.min())
    done = interactions(events, "request_id").left_join(shown, KEYS)
    return in_order(
        done,
        surfaces=_.surface.fill_null(""),
        asked=since_epoch(done.shown.fill_null(done.ts), "second"),
    )


def last(sequence: Value, count: Value) -> Value:
    """The last 50 of the first `count` entries of a list."""
    return sequence[ibis.greatest(count - HISTORY, 0) : count]


def histories(table: Table, listeners: Table) -> Table:
    """Give each row the listener's last 50 interactions of the `n_before` that came first.

    Args:
        table: rows with `user_id` and `n_before`.
        listeners: `sequences` of the same log.

    Returns:
        `table` with `history_items`, `history_actions` and `history_times` (seconds since the
        epoch), oldest first; empty for a listener who has done nothing yet.
    """
    joined = table.left_join(listeners, "user_id").drop("user_id_right")
    empty = {"items": "array<string>", "actions": "array<string>", "times": "array<int64>"}
    return joined.mutate(
        **{
            f"history_{name}": last(joined[name], joined.n_before).fill_null(ibis.literal([], type=kind))
            for name, kind in empty.items()
        }
    ).drop(*empty)


def user_history(events: Table, last_day: int) -> Table:
    """The last 50 interactions at the end of each day on which the listener did something."""
    done = interactions(events).filter(_.day <= last_day)
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
    """The state of the sessions that went on after the last snapshot: `session_plays`, `session_skips`."""
    done = interactions(events).filter(_.session_id.notnull())
    states = done.group_by("session_id").agg(
        event_timestamp=_.ts.max(),
        session_plays=(_.action != schema.SKIP).sum().cast("float32"),
        session_skips=(_.action == schema.SKIP).sum().cast("float32"),
    )
    return states.filter(day_number(states.event_timestamp) > last_day)


def recent(events: Table) -> Table:
    """What came strictly before each event.

    Returns:
        `event_id`, `n_before` (the listener's interactions), `session_plays` and `session_skips`
        (the session's, 0 without a session id). Events of the same microsecond do not see each other.
    """
    # DuckDB sums into HUGEINT, which Parquet has not, and Ibis drops a cast to what it believes is
    # int64 already: hence int32.
    before = (None, ibis.interval(microseconds=1))
    user = ibis.range_window(group_by="user_id", order_by="ts", preceding=before)
    session = ibis.range_window(group_by="session_id", order_by="ts", preceding=before)
    done = events.action.isin(schema.INTERACTIONS).cast("int64")
    skip = (events.action == schema.SKIP).cast("int64")
    counted = events.select(
        "event_id",
        "session_id",
        n_before=done.sum().over(user),
        session_done=done.sum().over(session),
        session_skips=skip.sum().over(session),
    )
    known = counted.session_id.notnull()
    skips = known.ifelse(counted.session_skips, 0).fill_null(0)
    return counted.select(
        "event_id",
        n_before=_.n_before.fill_null(0).cast("int32"),
        session_plays=(known.ifelse(counted.session_done, 0).fill_null(0) - skips).cast("float32"),
        session_skips=skips.cast("float32"),
    )
