"""The measures of a few events, by hand."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from events import schema
from monitoring.checks.measures import Levels
from monitoring.checks.sums import Sums, daily
from monitoring.windows import Windows, rows

END = datetime(2026, 3, 8, tzinfo=UTC)
NOON = END - timedelta(hours=12)
ITEMS = pa.Table.from_pylist(
    [
        {"item_id": "old", "title": "Old", "content_type": "music", "genres": ["jazz", "rock"], "duration_ms": 1_000,
         "release_date": date(2020, 1, 1)},
        {"item_id": "new", "title": "New", "content_type": "podcast", "genres": ["rock"], "duration_ms": 1_000,
         "release_date": date(2026, 3, 3)},
    ],
    schema.ITEMS,
)  # fmt: skip
EVENTS = (  # listener, item, action, surface, ms_played, request
    ("u", "old", "impression", "home", None, "a"),
    ("u", "new", "impression", "home", None, "a"),
    ("u", "old", "play", "home", 800, "a"),
    ("u", "new", "skip", "home", None, "a"),
    ("v", "new", "impression", "search", None, "b"),
    ("v", "new", "play", "search", 400, "b"),
    ("v", "lost", "play", "library", 100, "c"),
)


@pytest.fixture(scope="module")
def sums() -> Sums:
    """The sums of a day with the events, after a day without any."""
    names = ("user_id", "item_id", "action", "surface", "ms_played", "request_id")
    events = pa.Table.from_pylist(
        [
            dict(zip(names, event, strict=True)) | {"event_id": str(n), "ts": NOON, "session_id": "s", "position": 1}
            for n, event in enumerate(EVENTS)
        ],
        schema.EVENTS,
    )
    frame = rows(events, ITEMS, Windows(END, 2), cells=np.array([4, 2]))
    return daily(frame, Levels.of(frame, ITEMS), 2, seed=0)


@pytest.mark.parametrize(
    ("check", "level", "numerator", "denominator"),
    [
        ("volume", "requests", 3, 1),  # requests a, b and c
        ("feedback", "home", 2, 2),
        ("feedback", "library", 1, 0),  # a play without an impression
        ("nulls", "ms_played", 1, 4),  # of plays and skips
        ("nulls", "session_id", 0, 7),
        ("skip_rate", "", 1, 4),
        ("listened", "", 1.2, 2),  # 0.8 + 0.4; the lost item has no duration
        ("plays_by_surface", "search", 1, 3),
        ("plays_by_type", "podcast", 1, 3),
        ("new_items", "shown", 2, 3),
        ("new_items", "played", 1, 3),
        ("plays_by_genre", "rock", 1.5, 3),  # half of the old item and all of the new one
        ("play_rate_by_genre", "rock", 1.5, 2.5),
        ("embeddings", "Old", 1, 2),  # the lost item is in no cell
        ("embeddings", "New", 1, 2),
    ],
)
def test_a_measure_is_a_ratio_of_sums(sums, check, level, numerator, denominator):
    assert sums.totals[1, sums.names.index((check, level))] == pytest.approx([numerator, denominator])


def test_a_day_without_events_has_no_requests_and_nothing_else(sums):
    volume = sums.names.index(("volume", "requests"))
    assert sums.totals[0, volume].tolist() == [0, 1]
    assert not np.delete(sums.totals[0], volume, axis=0).any()


def test_the_volume_of_a_log_without_requests_is_its_sessions():
    sessions = [("u", "1"), ("u", "1"), ("u", "2"), ("v", "1")]  # of v, too, is one called 1
    ratings = pa.Table.from_pylist(
        [
            {"event_id": str(n), "user_id": user, "item_id": "old", "ts": NOON, "action": "like", "session_id": session}
            for n, (user, session) in enumerate(sessions)
        ],
        schema.EVENTS,
    )
    frame = rows(ratings, ITEMS, Windows(END, 2))
    rated = daily(frame, Levels.of(frame, ITEMS), 2, seed=0)
    assert rated.totals[1, rated.names.index(("volume", "sessions"))].tolist() == [3, 1]
    assert rated.totals[1, rated.names.index(("plays_by_genre", "rock"))].tolist() == [2, 4]  # a like stands for a play
    assert rated.totals[1, rated.names.index(("nulls", "ms_played"))].tolist() == [0, 0]  # and has no time


def test_a_replicate_takes_all_rows_of_a_listener_equally_often(sums):
    # Only u was shown something on home, and only v on search.
    home, search = (sums.replicates[:, 1, sums.names.index(("feedback", name))] for name in ("home", "search"))
    assert (home[:, 0] == home[:, 1]).all()
    assert set(home[:, 0] % 2) == {0}  # twice the weight
    assert home[:, 0].mean() == pytest.approx(2, abs=0.3)  # of weight 1 on average
    assert abs(np.corrcoef(home[:, 0], search[:, 0])[0, 1]) < 0.25  # listeners are drawn apart
