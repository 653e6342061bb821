"""Turn a log into labelled examples.

A log with impressions gives one example for each impression. Its labels come from the interactions of the same
listener with the same item in the same request. A log without impressions (MovieLens, Last.fm) gives one example for
each interaction, and its labels come from the action. If such a log goes on with what the journal collected, it gives
an example for each interaction before the first impression, and for each impression. If the log has a `label_*` column,
that column replaces the derived label.
"""

from typing import cast

import ibis
from ibis import _
from ibis.expr.types import BooleanColumn, Column, Table

from events import schema

COLUMNS = (
    "event_id", "user_id", "item_id", "ts", "session_id", "request_id", "surface", "position", "propensity",
    *schema.LABEL_COLUMNS, "positive",
)  # fmt: skip
KEYS = ("user_id", "item_id", "request_id")
FEATURES = "features"  # the stage of the gateway that reads the online store
DURATION = "item_duration_ms"  # a name of its own, because the log may have a column `duration_ms` too


def has_impressions(events: Table) -> bool:
    """Return whether the log has impressions, and not only interactions."""
    return bool(events.filter(_.action == schema.IMPRESSION).limit(1).count().execute())


def without_fallbacks(events: Table) -> Table:
    """Return the log without what a fallback showed and what followed it, from which no model learns.

    Nobody decided these pages, so they have no propensity that an estimate could use.
    """
    return events.filter(~events.policy.startswith(schema.FALLBACK).fill_null(False))


def with_served_features(events: Table) -> Table:
    """Return the log without what was served while the stage `features` was degraded.

    The models decided there by default features. The features that a join gives to such an event are others.
    """
    if not says(events, "degraded"):
        return events
    return events.filter(~events.exposure["degraded"].contains(FEATURES).fill_null(False))


def says(events: Table, field: str) -> bool:
    """Return whether the log has a field of exposures; a column of its own, or of an earlier version, may lack it."""
    exposure = events.schema().get("exposure")
    return exposure is not None and exposure.is_struct() and field in exposure.names


def with_duration(events: Table, items: Table | None) -> Table:
    """Return the log with each item's duration in the column `DURATION`; null if the catalogue does not have it."""
    if items is None:
        return events.mutate(**{DURATION: ibis.null("int64")})
    durations = items.select("item_id", **{DURATION: items.duration_ms})
    return events.left_join(durations, "item_id").drop("item_id_right")


def log_seconds(milliseconds: Column) -> Column:
    """Return the label of the `listen` head: log1p of the seconds listened."""
    return (milliseconds / 1000 + 1).ln()


def from_impressions(events: Table) -> Table:
    """Return one example for each impression, labelled by the interactions that followed in the same request.

    - No interaction followed: all labels are 0.
    - No interaction has `ms_played`: `label_listen` is null. If one of them is a play, `label_play` and
      `label_complete` are null too.
    - The item's duration is unknown: `label_complete` is null, even if no interaction followed. A 0 there would give
      the head only negative examples of that item, because a completed play of it cannot be recognised.
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
    if says(events, "layout_propensity"):  # an example is about the item at its place, whatever the layout
        shown = shown.mutate(propensity=_.propensity / _.exposure["layout_propensity"].fill_null(1.0))
    joined = shown.left_join(outcomes.select(*KEYS, "followed", *derived), KEYS).drop(*(f"{key}_right" for key in KEYS))
    labels = {name: joined.followed.isnull().ifelse(0.0, joined[name]) for name in derived}
    if "label_complete" in derived:
        labels["label_complete"] = joined[DURATION].isnull().ifelse(ibis.null("float32"), labels["label_complete"])
    labelled = joined.mutate(
        **{name: labels.get(name, joined[name]).cast("float32") for name in schema.LABEL_COLUMNS},
    )
    return labelled.mutate(positive=((_.label_play == 1) | (_.label_like == 1)).fill_null(False))


def from_interactions(events: Table) -> Table:
    """Return one example for each interaction.

    A label that the action does not determine is null, and the loss masks it out. For instance, a like does not say
    how long the item was played.
    """
    interactions = events.filter(_.action.isin(schema.INTERACTIONS))
    played = cast(BooleanColumn, interactions.ms_played >= schema.PLAY_THROUGH_MS)
    complete = cast(BooleanColumn, interactions.ms_played >= schema.COMPLETE_SHARE * interactions[DURATION])
    derived: dict[str, Column] = {
        "label_play": played,
        "label_complete": complete,
        "label_skip": interactions.action == schema.SKIP,
        "label_like": interactions.action == schema.LIKE,
        "label_add": interactions.action == schema.ADD,
        "label_listen": log_seconds(interactions.ms_played),
    }
    labels = {
        name: (interactions[name] if name in interactions.columns else column) for name, column in derived.items()
    }
    return interactions.mutate(
        positive=ibis.literal(True), **{name: column.cast("float32") for name, column in labels.items()}
    )


def examples(events: Table, items: Table | None = None) -> Table:
    """Return the labelled examples of a log.

    Args:
        events: The log.
        items: The catalogue, which holds the durations. Without it the derived `label_complete` is null.

    Returns:
        A table with `event_id, user_id, item_id, ts, session_id, request_id, surface, position, propensity`, one
        `label_*` column for each head (float32: 0, 1 or null), `label_listen` (float32: log1p of the seconds, or null)
        and `positive` (bool: whether retrieval learns from the example as a positive). The propensity is that of the
        item at its place, given the layout.
    """
    log = with_duration(with_served_features(without_fallbacks(events)), items)
    if not has_impressions(log):
        return from_interactions(log).select(COLUMNS)
    labelled = from_impressions(log).select(COLUMNS)
    collected = log.event_id.startswith(schema.SHOWN)
    if has_impressions(log.filter(~collected)):
        return labelled
    before = log.filter(_.ts < log.filter(collected).ts.min().as_scalar())
    return labelled.union(from_interactions(before).select(COLUMNS).cast(labelled.schema()))
