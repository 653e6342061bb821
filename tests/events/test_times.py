"""Conversion of the times found in files."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from events import schema
from events.times import parse

T = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
SECONDS = 1_767_607_200


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SECONDS, T),
        (SECONDS * 1000, T),
        (float(SECONDS) + 0.5, T.replace(microsecond=500_000)),
        (str(SECONDS), T),
        ("2026-01-05T10:00:00", T),
        ("2026-01-05 10:00:00", T),
        ("2026-01-05T10:00:00Z", T),
        ("2026-01-05T12:00:00+02:00", T),
        ("2026-01-05T10:00:00.123456789", T.replace(microsecond=123_456)),
        ("2026-01-05", T.replace(hour=0)),
        (date(2026, 1, 5), T.replace(hour=0)),
        (datetime(2026, 1, 5, 10), T),
        ("-428720400000", datetime(1956, 5, 31, 23, tzinfo=UTC)),
    ],
    ids=str,
)
def test_every_format_gives_the_same_instant(value, expected):
    parsed = parse(pa.chunked_array([[value, None]]))
    assert parsed.type == schema.TIMESTAMP
    assert parsed.to_pylist() == [expected, None]


def test_a_time_with_a_zone_is_converted_to_utc():
    column = pa.chunked_array([pa.array([T], pa.timestamp("ns", tz="Europe/Stockholm"))])
    assert parse(column).to_pylist() == [T]


def test_a_column_may_mix_formats():
    column = pa.chunked_array([["2026-01-05T10:00:00", str(SECONDS), "2026-01-05T10:00:00+00:00"]])
    assert parse(column).to_pylist() == [T, T, T]


@pytest.mark.parametrize("value", ["yesterday", "05/01/2026", 10**15, "2026-13-01"])
def test_values_that_are_not_times_are_refused(value):
    with pytest.raises(pa.ArrowInvalid):
        parse(pa.chunked_array([[value]]))
