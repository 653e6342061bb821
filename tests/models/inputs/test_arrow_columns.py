"""Conversions of Arrow columns to arrays."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from models.inputs.arrow_columns import dense, number, recent_first, seconds, vector_width
from segue.errors import InputError


@pytest.mark.parametrize(
    ("rows", "width"),
    [
        pytest.param([None, [1.0, 2.0, 3.0]], 3, id="of the rows that are not null"),
        pytest.param([None], 1, id="all null"),
    ],
)
def test_vector_width(rows, width):
    assert vector_width(pa.chunked_array([pa.array(rows, pa.list_(pa.float32()))])) == width


def test_vectors_of_another_width_are_refused():
    # Four rows of 2 have as many values as two rows of 4, so a reshape alone would not fail.
    column = pa.chunked_array([pa.array([[1.0, 0.0]] * 4, pa.list_(pa.float32()))])
    with pytest.raises(InputError, match=r"vectors of 4 genres or content types\. Received vectors of 2"):
        dense(column, 4)


def test_null_vectors_are_zeros():
    column = pa.chunked_array([pa.array([[1.0, 2.0], None], pa.list_(pa.float32()))])
    assert dense(column, 2).tolist() == [[1, 2], [0, 0]]


def test_a_slice_of_a_column_gives_only_its_own_vectors():
    # A slice shares the value buffer of the whole column.
    column = pa.chunked_array([pa.array([[1.0], None, [3.0], [4.0]], pa.list_(pa.float32()))])
    assert dense(column.slice(1, 2), 1).tolist() == [[0], [3]]


def test_histories_are_turned_to_most_recent_first():
    column = pa.chunked_array([pa.array([["old", "mid", "new"], [], None, ["only"]], pa.list_(pa.string()))])
    rows, columns, values = recent_first(column)
    assert list(zip(rows, columns, values.to_pylist(), strict=True)) == [
        (0, 2, "old"), (0, 1, "mid"), (0, 0, "new"), (3, 0, "only"),
    ]  # fmt: skip


def test_null_numbers_are_zeros():
    numbers = number(pa.chunked_array([pa.array([1.5, None])]))
    assert numbers.tolist() == [1.5, 0]
    assert numbers.dtype == np.float32


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_whole_seconds(unit):
    # 90 seconds and a fraction after 1 January 1970.
    moment = datetime(1970, 1, 1, 0, 1, 30, 999_999 if unit in ("us", "ns") else 0, UTC)
    assert seconds(pa.chunked_array([pa.array([moment], pa.timestamp(unit, "UTC"))])).tolist() == [90]
