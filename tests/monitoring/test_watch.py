"""The report of a log whose listeners move where only the embedding space shows it."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from events import schema
from monitoring.watch import checked
from monitoring.windows import DAY, HOUR, Windows, rows

END = datetime(2026, 3, 8, tzinfo=UTC)
WINDOWS = Windows(END, 43)
LISTENERS, PLAYS = 200, 4
ITEMS = pa.Table.from_pylist(
    [
        {"item_id": name, "title": name, "content_type": "music", "genres": ["jazz"], "duration_ms": 1_000,
         "release_date": date(2020, 1, 1)}
        for name in ("Bebop", "Swing")
    ],
    schema.ITEMS,
)  # fmt: skip


def log(share: float) -> pa.Table:
    """Plays of two items by all listeners; the share of Swing is 0.3, and another one on the last day."""
    rng = np.random.default_rng(0)
    played = [
        (WINDOWS.start + day * DAY + HOUR, listener, rng.random() < (share if day == WINDOWS.days - 1 else 0.3))
        for day in range(WINDOWS.days)
        for listener in range(LISTENERS)
        for _ in range(PLAYS)
    ]
    return pa.Table.from_pylist(
        [
            {"event_id": str(n), "user_id": str(listener), "item_id": "Swing" if swing else "Bebop", "ts": ts,
             "action": "play", "ms_played": 900, "request_id": str(n), "session_id": "s", "position": 1,
             "surface": "home"}
            for n, (ts, listener, swing) in enumerate(played)
        ],
        schema.EVENTS,
    )  # fmt: skip


@pytest.mark.parametrize(("share", "cause"), [(0.3, None), (0.5, "embeddings")])
def test_a_move_within_a_genre_is_seen_in_the_embedding_space(share, cause):
    events = log(share)
    frame = rows(events, ITEMS, WINDOWS, cells=np.array([0, 1]))
    report = checked(frame, events, ITEMS, WINDOWS, END + 2 * HOUR)
    assert report.cause == cause
    assert ("The share of items like Swing among plays rose from 30" in report.reason) is (cause is not None)


def test_without_a_model_embeddings_are_not_compared():
    events = log(0.5)
    report = checked(rows(events, ITEMS, WINDOWS), events, ITEMS, WINDOWS, END + 2 * HOUR)
    assert report.cause is None
    assert "embeddings" not in {check.name for check in report.checks}
