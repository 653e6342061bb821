"""Ids: text, whole numbers, and the decimals that pandas makes of whole numbers."""

from decimal import Decimal

import pyarrow as pa
import pytest

from events import canonical
from events.origins import RowOrigins
from segue.errors import InputError

FIELD = pa.field("user_id", pa.string())


OPTIONAL = ("request_id", "session_id", "creator_id")


def read(values) -> tuple[list, str]:
    """Return the ids read from a column of these values, and the note."""
    column = pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)])
    ids, note = canonical.read(column, FIELD, RowOrigins.of("log.parquet", len(column)))
    return ids.to_pylist(), note


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([7, None, 9_223_372_036_854_775_807], ["7", None, "9223372036854775807"], id="integers"),
        pytest.param([7.0, None, 2.0**53 - 1], ["7", None, "9007199254740991"], id="whole decimals"),
        pytest.param([7.0, float("nan")], ["7", None], id="NaN is null"),
        pytest.param(pa.array([7.0, 16_777_215.0], pa.float32()), ["7", "16777215"], id="single precision"),
        pytest.param([Decimal("12345678901234567890"), Decimal("7")], ["12345678901234567890", "7"], id="DECIMAL"),
        pytest.param([Decimal("7.00"), None], ["7", None], id="DECIMAL with digits behind the point"),
        pytest.param(["007", "u1"], ["007", "u1"], id="text keeps its zeros"),
        pytest.param(["7.0", "8.0", None], ["7", "8", None], id="decimals written as text"),
        pytest.param(["7.0", "v2"], ["7.0", "v2"], id="only some look like decimals"),
        pytest.param(["1.5", "2.0"], ["1.5", "2.0"], id="versions"),
        pytest.param(["", "  ", "\t", "\u00a0", "u1"], [None, None, None, None, "u1"], id="blank is null"),
        pytest.param(pa.array(["u1", ""]).dictionary_encode(), ["u1", None], id="dictionary"),
        pytest.param(pa.array(["u1", " "], pa.large_string()), ["u1", None], id="large strings"),
        pytest.param(pa.array([b"u1", b""]), ["u1", None], id="bytes"),
    ],
)
def test_ids_become_text(values, expected):
    assert read(values) == (expected, "")


def test_spaces_around_ids_are_cut_off_and_counted():
    assert read(["u1  ", " u2", "u 3", "  "]) == (["u1", "u2", "u 3", None], "spaces around 2 ids were cut off")


@pytest.mark.parametrize(
    "value",
    [2.0**53, -(2.0**53), 1.2345678901234568e18, pa.array([2.0**24], pa.float32()), "1.2345678901234568e+18"],
    ids=str,
)
def test_decimals_that_merge_neighbouring_ids_are_refused(value):
    values = value if isinstance(value, pa.Array) else [value]
    with pytest.raises(InputError, match=r"log.parquet, row 1: user_id is .* cannot be told apart as decimals; write"):
        read(values)


@pytest.mark.parametrize(
    "values", [[1.0, 1.5], [1.0, float("inf")], [1.0, -float("inf")], [Decimal("1"), Decimal("1.5")]]
)
def test_fractions_and_infinities_are_no_ids(values):
    with pytest.raises(InputError, match=r"row 2: user_id is .*"):
        read(values)


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("word", ["nan", "None", "NULL", r"\N", "<NA>"])
def test_a_word_for_a_missing_value_is_no_request_and_no_session(name, word):
    column = pa.chunked_array([pa.array(["r1", word, None, word.upper() + "1"])])
    field = pa.field(name, pa.string())
    ids, note = canonical.read(column, field, RowOrigins.of("log.csv", 4, 2))
    assert ids.to_pylist() == ["r1", None, None, word.upper() + "1"]
    assert note == f"1 values such as {word!r} are null"
