"""Times as spreadsheets, databases and scripts write them."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from events import canonical, schema
from events.origins import RowOrigins
from segue.errors import InputError

T = datetime(2026, 1, 5, 10, tzinfo=UTC)
EVENING = datetime(2026, 1, 5, 22, tzinfo=UTC)


def read(*values) -> list:
    """Return the times read from a column of these values."""
    column = pa.chunked_array([pa.array(values)])
    return canonical.cast(column, schema.EVENTS.field("ts"), RowOrigins.of("log.csv", len(values), 2)).to_pylist()


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-05 10:00:00 UTC",
        "2026-01-05 11:00 Europe/Stockholm",
        "2026-01-05T11:00:00+01:00[Europe/Stockholm]",
        "2026-01-05T10:00:00Z[UTC]",
        "2026-01-05T10:00Z[Etc/UTC]",
        "2026/01/05 10:00Z",
        "2026-01-05 11:00:00 CET",
        "2026-01-05 05:00:00.000 America/New_York",
        "2026-01-05 05:00 EST",
        "2026-01-05 12:00:00 +0200",
        "2026-01-05 12:00:00 +02:00",
        "2026/01/05 10:00:00",
        "2026/1/5 10:00",
        "Jan 5, 2026 10:00 AM",
        "January 5, 2026 at 10:00:00 AM",
        "Jan 05 2026 10:00AM",
        "5 Jan 2026 10:00:00",
        "05-JAN-2026 10:00:00",
        "Mon, 05 Jan 2026 10:00:00 GMT",
        "Mon Jan  5 10:00:00 2026",
        "jan 5, 2026, 10:00:00\u202fam",
    ],
)
def test_the_forms_of_usual_exporters_are_the_same_instant(value):
    assert read(value, None) == [T, None]


def test_noon_and_midnight_of_twelve_hour_clocks():
    assert read("Jan 5, 2026 10:00 PM", "Jan 5, 2026 12:00 AM", "Jan 5, 2026 12:30:15 PM") == [
        EVENING,
        T.replace(hour=0),
        T.replace(hour=12, minute=30, second=15),
    ]


@pytest.mark.parametrize("separator", ["/", ".", "-"])
def test_a_day_above_12_decides_the_order_for_the_whole_column(separator):
    european = [text.replace("/", separator) for text in ("05/01/2026 10:00", "13/01/2026 10:00")]
    american = [text.replace("/", separator) for text in ("1/5/2026 10:00:00 AM", "1/13/2026 10:00:00 AM")]
    assert read(*european) == read(*american) == [T, T.replace(day=13)]


def test_the_import_says_which_order_was_taken():
    field, origins = schema.ITEMS.field("release_date"), RowOrigins.of("items.csv", 1)
    for value, first in (("13/01/2026", "day"), ("01/13/2026", "month")):
        note = canonical.read(pa.chunked_array([[value]]), field, origins)[1]
        assert note == f"dates begin with the {first}: a number above 12 shows it"


@pytest.mark.parametrize(
    "values",
    [["05/01/2026"], ["05.01.2026 10:00", "06.01.2026 10:00"], ["13/01/2026", "01/13/2026"], ["1-5-2026"]],
    ids=str,
)
def test_an_order_that_the_column_does_not_decide_is_refused(values):
    with pytest.raises(InputError, match=r"log.csv, row 2: ts is .*: day and month may be in either order") as e:
        read(*values)
    assert "YYYY-MM-DD" in e.value.fix


@pytest.mark.parametrize("zone", ["CST", "IST", "Europe/Atlantis", "XYZ"])
def test_a_zone_that_is_not_one_zone_is_refused(zone):
    with pytest.raises(InputError, match=rf"row 3: ts is .*the zone {zone} is not known"):
        read("2026-01-05 10:00", f"2026-01-05 10:00 {zone}")


def test_a_time_that_occurs_twice_is_the_earlier_and_one_that_is_skipped_is_refused():
    assert read("2026-10-25 02:30 Europe/Stockholm") == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    with pytest.raises(InputError, match="skips that time"):
        read("2026-03-29 02:30 Europe/Stockholm")


@pytest.mark.parametrize("value", [46_027, 46_027.41667, "46027", "46027.41667"])
def test_a_spreadsheets_serial_number_is_refused_by_name(value):
    with pytest.raises(InputError, match=r"row 2: ts is .*spreadsheet's \(Excel's\) serial number"):
        read(value)


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "31/02/2026",
        "Jan 32, 2026",
        "13:00 PM",
        "Jan 5, 2026 13:00 PM",
        "05/01/26",
        "13/01/26",
        "05-Jan-26",
        "2026-02-30",
        "2026/01/05 10:00 +99:00",
        "2026/01/05 10:00 -1500",
    ],
)
def test_other_texts_are_no_times(value):
    with pytest.raises(InputError, match=r"row 2: ts is .*, which is not a time"):
        read(value)


def test_nan_is_a_missing_time_and_infinity_is_refused():
    assert read(1_767_607_200.0, float("nan")) == [T, None]
    with pytest.raises(InputError, match="row 2: ts is inf"):
        read(float("inf"))
