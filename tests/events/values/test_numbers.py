"""Whole numbers, and durations that are not known."""

from datetime import date, datetime, time, timedelta

import pyarrow as pa
import pytest

from events import canonical, schema
from events.checks import check
from events.origins import RowOrigins
from segue.errors import InputError

MS = schema.EVENTS.field("ms_played")
NAN = float("nan")


def read(*values) -> list:
    """Return the whole numbers read from a column of these values."""
    return canonical.cast(
        pa.chunked_array([pa.array(values)]), MS, RowOrigins.of("log.csv", len(values), 2)
    ).to_pylist()


@pytest.mark.parametrize(
    "values", [(3, None), (3.0, NAN), ("3", ""), ("3.0", None), (" 3 ", "nan"), ("3", " ")], ids=str
)
def test_whole_numbers_are_read_and_nan_is_null(values):
    assert read(*values) == [3, None]


def test_whole_numbers_of_digits_alone_are_read_as_decimals_are():
    digits = ["-5", "007", "0", "-0", "123456789012345"]
    assert read(*digits) == read(*digits, "1.0")[:-1] == [-5, 7, 0, 0, 123456789012345]
    for broken in ("0x1F", "1-2", "-", "--1", "1/2"):
        with pytest.raises(InputError, match="is not a whole number"):
            read("1", broken)


@pytest.mark.parametrize("field", ["ms_played", "propensity", "ts", "label_like"])
@pytest.mark.parametrize("word", ["NULL", "null", r"\N", "None", "<NA>", "NaN", " NULL "])
def test_words_for_a_missing_value_are_null_and_counted(field, word):
    known = {"ts": "2026-01-05"}.get(field, "1")
    column = pa.chunked_array([pa.array([known, word, None])])
    field = pa.field(field, pa.float32()) if field.startswith("label") else schema.EVENTS.field(field)
    values, note = canonical.read(column, field, RowOrigins.of("log.csv", 3, 2))
    if field.name == "propensity" and word == "NaN":  # a number, which the rules of an import refuse
        return
    assert values.is_null().to_pylist() == [False, True, True]
    assert note in ("", f"1 values such as {word.strip()!r} are null")
    assert note or word == "NaN"


@pytest.mark.parametrize("word", ["null", "nan", r"\N"])
def test_a_column_of_such_words_alone_is_null(word):
    assert read(word, word) == [None, None]


@pytest.mark.parametrize("value", [3.5, float("inf"), "3.5", "inf", "three", 1e300])
def test_fractions_infinities_and_words_are_refused(value):
    with pytest.raises(InputError, match=r"log.csv, row 3: ms_played is .*, which is not a whole number"):
        read(type(value)(1), value) if not isinstance(value, str) else read("1", value)


@pytest.mark.parametrize("values", [["121.000", "98.500"], ["1.234"], ["5", "215.000"], ["-1.000", None]], ids=str)
def test_a_point_that_may_separate_thousands_is_refused(values):
    with pytest.raises(InputError, match=r"may be a fraction or have a point that separates thousands"):
        read(*values)


@pytest.mark.parametrize("values", [["121.000", "0.000"], ["121.000", "1234.000"], ["121.000", "7.0"]], ids=str)
def test_points_that_show_that_they_are_decimal_are_read(values):
    assert read(*values)[0] == 121


def test_a_duration_becomes_milliseconds():
    assert read(timedelta(seconds=1), timedelta(milliseconds=1.5), None) == [1000, 1, None]


@pytest.mark.parametrize("value", [time(0, 3), date(2026, 1, 5), datetime(2026, 1, 5)], ids=str)
def test_a_date_or_a_time_of_day_is_no_number(value):
    with pytest.raises(InputError, match=r"log.csv, row 2: ms_played is .*, which is not a whole number"):
        read(value)


@pytest.mark.parametrize("name", ["genres", "duration_ms", "release_date", "creator_id"])
@pytest.mark.parametrize("empty", [[NAN, NAN], [None, None], ["", " "]], ids=str)
def test_an_empty_column_of_any_type_is_null(name, empty):
    table = pa.table({"item_id": ["i0", "i1"], "title": ["A", "B"], name: pa.array(empty)})
    assert canonical.conform(table, schema.ITEMS, RowOrigins.of("items", 2))[name].to_pylist() == [None, None]


@pytest.mark.parametrize("durations", [[0, 200_000, -1], [0.0, 200_000.0, -1.0], ["0", "200000", "-1"]], ids=str)
def test_durations_of_0_and_below_are_unknown_and_counted(event, imported, durations):
    items = pa.table({"item_id": ["i0", "i1", "i2"], "title": ["A", "B", "C"], "duration_ms": durations})
    checked = check(imported([event(0), event(1)], items=items))
    assert checked.items["duration_ms"].to_pylist() == [None, 200_000, None]
    assert "duration_ms: 2 of 3 values are 0 or negative and count as unknown" in checked.mapping


def test_a_decision_is_said_once_and_not_stored(event, imported):
    items = canonical.conform(
        pa.table({"item_id": ["i0"], "title": ["A"], "genres": ["rock;jazz"]}), schema.ITEMS, RowOrigins.of("items", 1)
    )
    checked = check(imported([event(0), event(1)], items=items))
    assert [line for line in checked.mapping if "separated" in line] == [
        "genres: lists are separated by `;`: 1 of 1 values have one, none has a `|`"
    ]
    assert all(field.metadata is None for field in checked.items.schema)
