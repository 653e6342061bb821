"""Quotes that would join rows, or change a value, are refused."""

import pytest

from events.importers import tabular
from segue.errors import InputError

HEADER = "event_id,user_id,item_id,ts,action,query"


def queries(path, *values: str) -> list:
    """Return the queries read from a log with these cells as its last column."""
    rows = [f"{number},u{number},i0,2026-01-05,play,{value}" for number, value in enumerate(values)]
    path.write_bytes("\n".join([HEADER, *rows, ""]).encode())
    return tabular.read(path).events["query"].to_pylist()


@pytest.mark.parametrize(
    ("values", "row"),
    [
        (["x", '"y', "z"], 3),
        (["x", "y", '"z'], 4),
        (['"x', "y", "z"], 2),
        (['"x', "y", '"z'], 2),  # the second quote ends the value that the first begins
        (["x", '"say \\"hi\\""', "z"], 3),  # as Spark and MySQL write it
        (["x", '"ends \\"', '"\\"begins"'], 4),
    ],
)
def test_a_quote_that_is_not_closed_or_not_doubled_is_refused_with_its_row(tmp_path, values, row):
    with pytest.raises(InputError, match=rf"log.csv, row {row}: a value begins with a quote that is") as error:
        queries(tmp_path / "log.csv", *values)
    assert "two quotes" in error.value.fix


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a\nb"', "a\nb"),
        ('"a ""b"", c"', 'a "b", c'),
        ('5" disk', '5" disk'),
        ('"C:\\music\\"', "C:\\music\\"),
        ("a\\b", "a\\b"),
        ('"a\r\n\r\nb"', "a\r\n\r\nb"),
        ('"' + "long\n" * 40_000 + '"', "long\n" * 40_000),
        ("\\N", None),  # null in MySQL, PostgreSQL, Hive and Snowflake
    ],
    ids=["lines", "doubled", "unquoted", "backslash at the end", "backslash", "blank line", "long", "null"],
)
def test_other_quotes_and_backslashes_are_read(tmp_path, value, expected):
    assert queries(tmp_path / "log.csv", "x", value) == ["x", expected]
