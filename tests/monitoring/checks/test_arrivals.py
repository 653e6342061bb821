"""What arrives: the newest event, and new items."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from events import schema
from monitoring.checks.arrivals import freshness, growth
from monitoring.windows import Windows

END = datetime(2026, 3, 30, tzinfo=UTC)
WINDOWS = Windows(END, 22)


@pytest.mark.parametrize(("hours", "passed"), [(11.9, True), (12.1, False)])
def test_events_are_fresh_within_twice_the_longest_pause(hours, passed):
    times = [END - timedelta(days=2) + timedelta(hours=each) for each in (0, 3, 9, 14)]  # the longest pause is 6 h
    check = freshness(pa.table({"ts": pa.array(times, schema.TIMESTAMP)}), WINDOWS, times[-1] + timedelta(hours=hours))
    assert check.verdict.passed is passed
    assert check.limit == 12


def test_no_events_at_all_are_not_fresh():
    assert not freshness(pa.table({"ts": pa.array([], schema.TIMESTAMP)}), WINDOWS, END).verdict.passed


@pytest.mark.parametrize("later", [1, 3])
def test_a_burst_of_new_items_fails_as_long_as_they_are_new(later):
    days = [date(2026, 3, 12)] * 20 + [date(2026, 3, 29)] * 100
    items = pa.table({"release_date": pa.array(days, pa.date32())})
    check = growth(items, Windows(END + timedelta(days=later), 22))
    assert not check.verdict.passed
    assert check.limit == 40


@pytest.mark.parametrize(("new", "passed"), [(40, True), (41, False)])
def test_the_catalogue_may_grow_twice_as_fast_as_in_the_reference(new, passed):
    days = [date(2026, 3, 12)] * 20 + [date(2026, 3, 29)] * new + [date(2026, 3, 30), None]
    items = pa.table({"release_date": pa.array(days, pa.date32())})
    check = growth(items, WINDOWS)  # what is released from the end on does not count yet
    assert check.verdict.passed is passed
    assert (check.effect, check.limit) == (new, 40)
