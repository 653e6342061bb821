"""Many items in a few threads: results in order, and no new item after an error."""

import threading

import pytest

from stores.parallel import THREADS, in_parallel
from tests.support.soon import SECONDS


def test_results_are_in_the_order_of_the_items():
    assert in_parallel(lambda number: number * 2, range(100)) == list(range(0, 200, 2))
    assert in_parallel(str, []) == []


def test_no_item_is_begun_after_an_error():
    begun, all_wait = [], threading.Barrier(THREADS)

    def fail(number: int) -> None:
        begun.append(number)
        all_wait.wait(SECONDS)
        raise ValueError(f"item {number}")

    with pytest.raises(ValueError, match="item 0"):
        in_parallel(fail, range(100))
    assert sorted(begun) == list(range(THREADS))
