"""Work on batches gives what work on the whole table gives."""

import numpy as np
import pyarrow as pa
import pytest

from events.bulk import batches
from events.bulk.batches import Rows, in_parallel, rows_where

CHUNKS = [pa.table({"n": [0, 1, 2], "text": ["a", None, "c"]}), pa.table({"n": [3, 4], "text": ["d", "e"]})]
TABLE = pa.concat_tables([*CHUNKS, CHUNKS[0].slice(0, 0), CHUNKS[1]])


@pytest.fixture(params=[1, 2, 100], autouse=True)
def rows(request, monkeypatch):
    monkeypatch.setattr(batches, "ROWS", request.param)


@pytest.mark.parametrize(
    "positions", [[], [0], [6, 0, 3], [2, 2, 5, 5, 2], [0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0]], ids=str
)
def test_rows_are_taken_in_any_order(positions):
    taken = Rows(TABLE).take(np.array(positions, np.int64))
    assert taken.to_pylist() == [TABLE.to_pylist()[position] for position in positions]
    assert taken["n"].num_chunks <= 1


@pytest.mark.parametrize("mask", [[True] * 7, [False] * 7, [True, False, False, True, True, False, True]], ids=str)
def test_rows_are_kept_where_a_mask_is_true(mask):
    kept = rows_where(TABLE, np.array(mask))
    assert kept.to_pylist() == [row for row, keep in zip(TABLE.to_pylist(), mask, strict=True) if keep]


def test_results_come_in_order_and_errors_reach_the_caller():
    assert list(in_parallel(lambda n: n * n, range(40))) == [n * n for n in range(40)]
    with pytest.raises(ZeroDivisionError):
        list(in_parallel(lambda n: 1 / (n - 20), range(40)))
