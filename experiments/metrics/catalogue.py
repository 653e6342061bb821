"""The metrics of experiments, by name.

Rows of `events` are those of the data contract, with `micros` (microseconds of `ts` since 1970 UTC), `creator_id` and
`release_date` of the item. Of the page they have `fallback`, its level of degradation (0 is whole), and `degraded`, the
stages that failed or were late. Rows of `requests` have `latency_ms`. To add a metric, add a line: its tests, the
scorecard and `segue experiment plan` follow.
"""

from typing import Any

from events.schema import IMPRESSION, LIKE, PLAY, SKIP
from experiments.metrics.metric import Metric

NEW_DAYS = 28  # an item is a new release for so long
HOUR_MS, DAY_US = 3_600_000, 86_400_000_000


def did(action: str) -> Any:
    """The expression that is 1 where a row has this action, else 0."""
    return lambda rows: (rows.action == action).cast("float64")


def day(rows: Any) -> Any:
    """The day of a row, counted from 1970 UTC."""
    return rows.micros // DAY_US


def play_of_new_release(rows: Any) -> Any:
    """1 where a row is a play of an item that was released in the 28 days before, else 0."""
    age = day(rows) - rows.release_date.epoch_days()
    return ((rows.action == PLAY) & (age >= 0) & (age < NEW_DAYS)).fill_null(False).cast("float64")


def day_of_play(rows: Any) -> Any:
    """The day of a play; null for other actions."""
    return (rows.action == PLAY).ifelse(day(rows), None)


def creator_of_play(rows: Any) -> Any:
    """The creator that was played; null for other actions."""
    return (rows.action == PLAY).ifelse(rows.creator_id, None)


def hours(rows: Any) -> Any:
    """The hours that a row says were played."""
    return rows.ms_played.fill_null(0) / HOUR_MS


def of_fallback(rows: Any) -> Any:
    """1 where a row is an impression on a page of a fallback level, else 0."""
    return ((rows.action == IMPRESSION) & (rows.fallback > 0)).cast("float64")


def of_errors(rows: Any) -> Any:
    """1 where a row is an impression on a page of which a stage failed or was late, else 0."""
    return ((rows.action == IMPRESSION) & (rows.degraded.length() > 0)).fill_null(False).cast("float64")


def each_row(rows: Any) -> Any:
    """1 for each row."""
    return rows.ts.notnull().cast("float64")


METRICS = (
    Metric("play_rate", "success", True, did(PLAY), did(IMPRESSION), "Plays for each impression."),
    Metric("listening_time", "success", True, hours, None, "Hours listened by each listener."),
    Metric("likes", "success", True, did(LIKE), did(PLAY), "Likes for each play."),
    Metric(
        "days_returned", "success", True, day_of_play, None, "Days with a play in the first 7 days of a listener.",
        distinct=True, window_days=7,
    ),
    Metric(
        "new_release_plays", "success", True, play_of_new_release, did(PLAY),
        f"Share of plays whose item is at most {NEW_DAYS} days old.", needs=("release_date",),
    ),
    Metric(
        "diversity", "guardrail", True, creator_of_play, did(PLAY), "Different creators for each play of a listener.",
        needs=("creator_id",), distinct=True,
    ),
    Metric(
        "skip_rate", "guardrail", False, did(SKIP), lambda rows: rows.action.isin([PLAY, SKIP]).cast("float64"),
        "Share of started items that were skipped.",
    ),
    Metric(
        "fallback_share", "quality", False,
        of_fallback, did(IMPRESSION),
        "Share of impressions on a page of a fallback level.", needs=("fallback",),
    ),
    Metric(
        "latency", "guardrail", False, lambda rows: rows.latency_ms.cast("float64"), each_row,
        "Milliseconds to answer a request, on average.", table="requests", needs=("latency_ms",),
    ),
    Metric(
        "errors", "guardrail", False, of_errors, did(IMPRESSION),
        "Share of impressions on a page of which a stage failed or was late.", needs=("degraded",),
    ),
    Metric("plays", "deterioration", True, did(PLAY), None, "Plays of each listener."),
)  # fmt: skip

CATALOGUE = {metric.name: metric for metric in METRICS}
