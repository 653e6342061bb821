"""Labelled examples: what was shown or done, and what came of it.

A log with impressions gives one example an impression; its labels are the outcomes of the same
request and item. A log without (MovieLens, Last.fm) gives one example an interaction; its labels are
what the action says. A `label_*` column of the log, where there is one, is taken instead.
"""

from typing import cast

import ibis
from ibis import _
from ibis.expr.types import BooleanColumn, Column, Table

from events import schema

KEYS = ("user_id", "item_id", "request_id")
DURATION = "item_duration_ms"  # beside the log's own columns, which may have any name


def has_impressions(events: Table) -> bool:
    """Whether the log says what was shown, not only what was done."""
    return bool(events.filter(_.action == schema.IMPRESSION).limit(1).count().execute())


def with_duration(events: Table, items: Table | None) -> Table:
    """The log with each item's duration under `DURATION`; null where nobody states it."""
    if items is None:
        return events.mutate(**{DURATION: ibis.null("int64")})
    durations = items.select("item_id", **{DURATION: items.duration_ms})
    return events.left_join(durations, "item_id").drop("item_id_right")


def log_seconds(milliseconds: Column) -> Column:
    """The target of `listen`: log1p of the seconds."""
    return (milliseconds / 1000 + 1).ln()


def from_impressions(events: Table) -> Table:
    """One example an impression, labelled by what followed it under the same request.

    Nothing followed: all labels are 0. A play of unknown length leaves `label_play`, `label_complete`
    and `label_listen` unknown. An item of unknown duration has no `label_complete`, not even where
    nothing followed: the head would learn from its failures alone.
    """
    played = _.action == schema.PLAY
    outcomes = (
        events.filter(_.action.isin(schema.INTERACTIONS) & _.request_id.notnull())
        .group_by(KEYS)
        .agg(
            label_play=(played & (_.ms_played >= schema.PLAY_THROUGH_MS)).max().cast("float32"),
            label_complete=(played & (_.ms_played >= schema.COMPLETE_SHARE * _[DURATION])).max().cast("float32"),
            label_skip=(_.action == schema.SKIP).max().cast("float32"),
            label_like=(_.action == schema.LIKE).max().cast("float32"),
            label_add=(_.action == schema.ADD).max().cast("float32"),
            label_listen=log_seconds(_.ms_played.sum()).cast("float32"),
            followed=ibis.literal(True),
        )
    )
    shown = events.filter(_.action == schema.IMPRESSION)
    derived = [name for name in schema.LABEL_COLUMNS if name not in events.columns]
    joined = shown.left_join(outcomes.select(*KEYS, "followed", *derived), KEYS).drop(*(f"{key}_right" for key in KEYS))
    labels = {name: joined.followed.isnull().ifelse(0.0, joined[name]) for name in derived}
    if "label_complete" in derived:
        labels["label_complete"] = joined[DURATION].isnull().ifelse(ibis.null("float32"), labels["label_complete"])
    labelled = joined.mutate(
        **{name: labels.get(name, joined[name]).cast("float32") for name in schema.LABEL_COLUMNS},
    )
    return labelled.mutate(positive=((_.label_play == 1) | (_.label_like == 1)).fill_null(False))


def from_interactions(events: Table) -> Table:
    """One example an interaction; a label that nothing states is null (masked out of the loss)."""
    done = events.filter(_.action.isin(schema.INTERACTIONS))
    played = cast(BooleanColumn, done.ms_played >= schema.PLAY_THROUGH_MS)
    complete = cast(BooleanColumn, done.ms_played >= schema.COMPLETE_SHARE * done[DURATION])
    derived: dict[str, Column] = {
        "label_play": played,
        "label_complete": complete,
        "label_skip": done.action == schema.SKIP,
        "label_like": done.action == schema.LIKE,
        "label_add": done.action == schema.ADD,
        "label_listen": log_seconds(done.ms_played),
    }
    labels = {name: (done[name] if name in done.columns else column) for name, column in derived.items()}
    return done.mutate(positive=ibis.literal(True), **{name: column.cast("float32") for name, column in labels.items()})


def examples(events: Table, items: Table | None = None) -> Table:
    """The labelled examples of a log.

    Args:
        events: the log.
        items: the catalogue, for durations; without it `label_complete` is unknown.

    Returns:
        A table with `event_id, user_id, item_id, ts, session_id, request_id, surface, position,
        propensity`, one `label_*` a head (float32 in {0, 1} or null), `label_listen` (float32, log1p of
        seconds, or null) and `positive` (bool: a positive for retrieval).
    """
    known = with_duration(events, items)
    labelled = from_impressions(known) if has_impressions(events) else from_interactions(known)
    return labelled.select(
        "event_id", "user_id", "item_id", "ts", "session_id", "request_id", "surface", "position", "propensity",
        *schema.LABEL_COLUMNS, "positive",
    )  # fmt: skip
