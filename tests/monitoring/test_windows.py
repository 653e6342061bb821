"""Which day an event belongs to, and what of it the checks read."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from events import schema
from events.journal.joins import EXPOSURE
from monitoring.windows import Windows, rows

END = datetime(2026, 3, 8, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_the_current_window_is_the_last_whole_day_whose_outcomes_are_mature():
    windows = Windows.before(END + timedelta(hours=2, minutes=59), END - 30 * DAY)
    assert windows.current == (END - DAY, END)
    assert windows.reference == (END - 30 * DAY, END - DAY)


def test_the_reference_is_no_longer_than_a_base_and_its_calibration():
    assert Windows.before(END + 2 * HOUR, END - 400 * DAY).days == 14 + 28 + 1


@pytest.mark.parametrize(("days", "enough"), [(14, False), (15, True)])
def test_a_base_and_limits_need_a_week_each(days, enough):
    assert Windows.before(END + 2 * HOUR, END - days * DAY).enough is enough


def log(*events: tuple[str, datetime, str | None]) -> pa.Table:
    """Events of a listener: action, time and request."""
    return pa.Table.from_pylist(
        [
            {"event_id": str(n), "user_id": "u", "item_id": "i", "ts": ts, "action": action, "request_id": request}
            for n, (action, ts, request) in enumerate(events)
        ],
        schema.EVENTS,
    )


ITEMS = pa.Table.from_pylist(
    [{"item_id": "i", "title": "I", "content_type": "music", "genres": ["jazz"], "release_date": date(2026, 3, 2)}],
    schema.ITEMS,
)
WINDOWS = Windows(END, 2)


def test_what_follows_a_request_belongs_to_its_day_and_counts_for_two_hours():
    shown = END - DAY - HOUR  # an hour before the current window
    events = log(
        ("impression", shown, "a"), ("play", shown + 2 * HOUR, "a"), ("like", shown + 2.1 * HOUR, "a"),
        ("impression", END - HOUR, "b"), ("skip", END + HOUR, "b"), ("play", END + HOUR, "c"),
    )  # fmt: skip
    frame = rows(events, ITEMS, WINDOWS)
    assert list(zip(frame["day"], frame["action"], strict=True)) == [
        (0, "impression"), (0, "play"), (1, "impression"), (1, "skip"),
    ]  # fmt: skip


def test_feedback_that_the_check_of_its_day_could_not_see_counts_in_no_window():
    first, second = END - DAY, END  # the ends of the two days
    came = [None, first + 2 * HOUR, first + 2.1 * HOUR, None, second + 2 * HOUR, second + 2.1 * HOUR]
    events = log(
        ("impression", first - 9 * HOUR, "a"), ("play", first - 9 * HOUR, "a"), ("skip", first - 9 * HOUR, "a"),
        ("impression", second - 9 * HOUR, "b"), ("play", second - 9 * HOUR, "b"), ("skip", second - 9 * HOUR, "b"),
    )  # fmt: skip
    frame = rows(events.append_column(schema.RECEIVED, pa.array(came, schema.TIMESTAMP)), ITEMS, WINDOWS)
    assert list(zip(frame["day"], frame["action"], strict=True)) == [
        (0, "impression"), (0, "play"), (1, "impression"), (1, "play"),
    ]  # fmt: skip


def test_an_event_without_a_request_has_its_own_day():
    frame = rows(log(("play", END - 30 * HOUR, None), ("play", END - HOUR, None)), ITEMS, WINDOWS)
    assert frame["day"].tolist() == [0, 1]
    assert frame["request"].tolist() == [-1, -1]


def test_a_row_has_what_the_checks_read_of_its_item():
    row = rows(log(("play", datetime(2026, 3, 7, 12, tzinfo=UTC), None)), ITEMS, WINDOWS).iloc[0]
    assert (row["content_type"], row["age"], row["null_ms_played"]) == ("music", 5.5, True)


def test_what_the_journal_knows_is_read_from_the_exposure():
    collected = [
        {"fallback": 0, "scores": '{"add":0.1,"layout/play":0.9,"play":4.2e-1,"reward":2.0}'},
        {"fallback": 2, "scores": "{}"},
        None,
    ]
    noon = datetime(2026, 3, 7, 12, tzinfo=UTC)
    events = log(("play", noon, None), ("play", noon, None), ("play", noon, None))
    events = events.append_column(EXPOSURE, pa.array(collected, EXPOSURE.type))
    events = events.append_column(schema.RECEIVED, pa.array([noon + 3 * HOUR, None, None], schema.TIMESTAMP))
    frame = rows(events, ITEMS, WINDOWS)
    assert frame["prediction"].fillna(-1).tolist() == [0.42, -1, -1]
    assert frame["fallback"].tolist() == [False, True, False]
    assert frame["delay"].fillna(-1).tolist() == [3, -1, -1]


def test_a_like_stands_for_a_play_unless_the_item_was_played_or_skipped_in_the_request():
    noon = END - 12 * HOUR
    events = log(
        ("play", noon, "a"), ("like", noon, "a"), ("skip", noon, "b"), ("add", noon, "b"), ("like", noon, "c"),
        ("add", noon, None), ("impression", noon, "a"),
    )  # fmt: skip
    frame = rows(events, ITEMS, WINDOWS)
    assert frame["play"].tolist() == [True, False, False, False, True, True, False]
