"""Dates of a catalogue: a year is no number of days or seconds."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from events import canonical, schema
from events.origins import RowOrigins
from segue.errors import InputError

FIELD = schema.ITEMS.field("release_date")


def read(values) -> list:
    """Return the dates read from a column of these values."""
    column = pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)])
    return canonical.cast(column, FIELD, RowOrigins.of("items.csv", len(column), 2)).to_pylist()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1975, date(1975, 1, 1)),
        (pa.array([1975], pa.int32()), date(1975, 1, 1)),
        (pa.array([1975], pa.int16()), date(1975, 1, 1)),
        (1975.0, date(1975, 1, 1)),
        ("1975", date(1975, 1, 1)),
        ("1975.0", date(1975, 1, 1)),
        (Decimal("1975"), date(1975, 1, 1)),
        ("1975-03", date(1975, 3, 1)),
        (20190315, date(2019, 3, 15)),
        ("20190315", date(2019, 3, 15)),
        ("2019-03-15", date(2019, 3, 15)),
        (" 2019-03-15 ", date(2019, 3, 15)),
        ("2019-03-15T10:00:00Z", date(2019, 3, 15)),
        ("2019/03/15", date(2019, 3, 15)),
        ("15/03/2019", date(2019, 3, 15)),
        ("15 Mar 2019", date(2019, 3, 15)),
        ("March 15, 2019", date(2019, 3, 15)),
        (1_552_608_000, date(2019, 3, 15)),
        (1_552_608_000_000, date(2019, 3, 15)),
        (-428_720_400_000, date(1956, 5, 31)),
        (datetime(2019, 3, 15, 10, tzinfo=UTC), date(2019, 3, 15)),
        (float("nan"), None),
        ("", None),
    ],
    ids=str,
)
def test_dates_are_read_as_they_are_meant(value, expected):
    values = value if isinstance(value, pa.Array) else [value]
    assert read(values) == [expected]


@pytest.mark.parametrize("value", [0, 75, 201903, 1975.5, 20191332, "1975-13", "unknown", "0000-00-00", 10**15, True])
def test_other_values_are_refused(value):
    with pytest.raises(InputError, match=r"items.csv, row 2: release_date is .*, which is not"):
        read([value])


@pytest.mark.parametrize("value", [43539, 43539.25, "43539"])
def test_a_spreadsheets_serial_number_is_refused_by_name(value):
    with pytest.raises(InputError, match="Excel"):
        read([value])
