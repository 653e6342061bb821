"""Columns of Arrow tables as arrays."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from models.inputs.arrow_columns import dense, number, recent_first, seconds, vector_width
from segue.errors import InputError


@pytest.mark.parametrize(
    ("rows", "width"),
    [pytest.param([None, [1.0, 2.0, 3.0]], 3, id="of the rows that are known"), pytest.param([None], 1, id="all null")],
)
def test_vector_width(rows, width):
    assert vector_width(pa.chunked_array([pa.array(rows, pa.list_(pa.float32()))])) == width


def test_vectors_of_another_width_are_refused():
    # Four rows of 2 are as many values as two of 4: nothing else would notice.
    column = pa.chunked_array([pa.array([[1.0, 0.0]] * 4, pa.list_(pa.float32()))])
    with pytest.raises(InputError, match="knows 4 genres or content types; the features tell 2 apart"):
        dense(column, 4)


def test_null_vectors_are_zeros():
    column = pa.chunked_array([pa.array([[1.0, 2.0], None], pa.list_(pa.float32()))])
    assert dense(column, 2).tolist() == [[1, 2], [0, 0]]


def test_vectors_of_a_slice_are_its_own():
    # Arrow keeps the values of the whole column in a slice.
    column = pa.chunked_array([pa.array([[1.0], None, [3.0], [4.0]], pa.list_(pa.float32()))])
    assert dense(column.slice(1, 2), 1).tolist() == [[0], [3]]


def test_histories_turn_most_recent_first():
    column = pa.chunked_array([pa.array([["old", "mid", "new"], [], None, ["only"]], pa.list_(pa.string()))])
    rows, columns, values = recent_first(column)
    assert list(zip(rows, columns, values.to_pylist(), strict=True)) == [
        (0, 2, "old"), (0, 1, "mid"), (0, 0, "new"), (3, 0, "only"),
    ]  # fmt: skip


def test_null_numbers_are_zeros():
    found = number(pa.chunked_array([pa.array([1.5, None])]))
    assert found.tolist() == [1.5, 0]
    assert found.dtype == np.float32


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_whole_seconds(unit):
    # 1 January 1970, 0:01:30 and a bit.
    moment = datetime(1970, 1, 1, 0, 1, 30, 999_999 if unit in ("us", "ns") else 0, UTC)
    assert seconds(pa.chunked_array([pa.array([moment], pa.timestamp(unit, "UTC"))])).tolist() == [90]
