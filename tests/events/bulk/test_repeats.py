"""Repeated values are found, also where hashes collide."""

import numpy as np
import pyarrow as pa
import pytest

from events.bulk import repeats


@pytest.fixture(params=["right", "all hashes equal", "few hashes"])
def hashes(request, monkeypatch):
    if request.param != "right":
        values = 1 if request.param == "all hashes equal" else 2
        monkeypatch.setattr(repeats, "hashed", lambda column: np.arange(len(column), dtype=np.uint64) % values * 0)


@pytest.mark.parametrize(
    ("chunks", "positions", "first"),
    [
        ([["a", "b", "c"]], [], None),
        ([["a", "b"], ["a"]], [0, 2], 2),
        ([["b", "a"], ["c", "a"], ["b", "b"]], [0, 1, 3, 4, 5], 3),
        ([["a", None], [None]], [1, 2], 2),
        ([[1, 2, 3], [2]], [1, 3], 3),
        ([["x"]], [], None),
    ],
)
def test_repeated_values_are_found_by_position(hashes, chunks, positions, first):
    column = pa.chunked_array(chunks)
    assert repeats.repeated(column).tolist() == positions
    assert repeats.first_repeated(column) == first
