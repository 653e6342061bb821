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


def has_impressions(events: Table) -> bool:
    """Whether the log says what was shown, not only what was done."""
    return bool(events.filter(_.action == schema.IMPRESSION).limit(1).count().execute())


def from_impressions(events: Table) -> Table:
    """One example an impression, labelled by what followed it under the same request.

    Nothing followed: all labels are 0. A play of unknown length leaves `label_play` unknown.
    """
    played = (_.action == schema.PLAY) & (_.ms_played >= schema.PLAY_THROUGH_MS)
    outcomes = (
        events.filter(_.action.isin(schema.INTERACTIONS) & _.request_id.notnull())
        .group_by(KEYS)
        .agg(
            label_play=played.max().cast("float32"),
            label_skip=(_.action == schema.SKIP).max().cast("float32"),
            label_like=(_.action == schema.LIKE).max().cast("float32"),
            followed=ibis.literal(True),
        )
    )
    shown = events.filter(_.action == schema.IMPRESSION)
    derived = [name for name in schema.LABEL_COLUMNS if name not in events.columns]
    joined = shown.left_join(outcomes.select(*KEYS, "followed", *derived), KEYS).drop(*(f"{key}_right" for key in KEYS))
    labelled = joined.mutate(
        **{name: joined.followed.isnull().ifelse(0.0, joined[name]).cast("float32") for name in derived},
        **{name: joined[name].cast("float32") for name in schema.LABEL_COLUMNS if name not in derived},
    )
    return labelled.mutate(positive=((_.label_play == 1) | (_.label_like == 1)).fill_null(False))


def from_interactions(events: Table) -> Table:
    """One example an interaction; a label that nothing states is null (masked out of the loss)."""
    done = events.filter(_.action.isin(schema.INTERACTIONS))
    played = cast(BooleanColumn, done.ms_played >= schema.PLAY_THROUGH_MS)
    derived: dict[str, Column] = {
        "label_play": played.cast("float32"),
        "label_skip": (done.action == schema.SKIP).cast("float32"),
        "label_like": (done.action == schema.LIKE).cast("float32"),
    }
    labels = {name: done[name].cast("float32") if name in done.columns else column for name, column in derived.items()}
    return done.mutate(positive=ibis.literal(True), **labels)


def examples(events: Table) -> Table:
    """The labelled examples of a log.

    Returns:
        A table with `event_id, user_id, item_id, ts, session_id, surface, position, propensity,
        label_play, label_skip, label_like` (float32 in {0, 1} or null) and `positive` (bool: a
        positive for retrieval).
    """
    labelled = from_impressions(events) if has_impressions(events) else from_interactions(events)
    return labelled.select(
        "event_id", "user_id", "item_id", "ts", "session_id", "surface", "position", "propensity",
        *schema.LABEL_COLUMNS, "positive",
    )  # fmt: skip
