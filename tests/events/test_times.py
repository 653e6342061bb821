"""Conversion of the times found in files."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from events import canonical, schema
from events.origins import RowOrigins
from events.times import parse
from segue.errors import InputError

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


@pytest.mark.parametrize("unit", ["s", "ms"])
@pytest.mark.parametrize("value", [2**62, -(2**62), 2**63 - 1])
def test_a_timestamp_beyond_the_microseconds_of_64_bits_is_refused(unit, value):
    column = pa.chunked_array([pa.array([value], pa.timestamp(unit))])
    with pytest.raises(pa.ArrowInvalid):
        parse(column)
    with pytest.raises(InputError, match=r"log.parquet, row 1: ts is '<value out of range"):
        canonical.cast(column, schema.EVENTS.field("ts"), RowOrigins.of("log.parquet", 1))


@pytest.mark.parametrize("value", ["yesterday", "05/01/2026", 10**15, "2026-13-01"])
def test_values_that_are_not_times_are_refused(value):
    with pytest.raises(pa.ArrowInvalid):
        parse(pa.chunked_array([[value]]))
