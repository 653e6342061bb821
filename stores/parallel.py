"""Run a function over many items in a few threads, for work that waits for a network or a disk."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TypeVar

THREADS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the results of `function` in the order of the items. After the first error no further item is begun.

    Raises: the error of the first item, in their order, that failed.
    """
    failed = threading.Event()

    def run(item: Item) -> Result:
        if failed.is_set():  # otherwise a thread whose call has timed out would begin another one that does
            raise CancelledError
        try:
            return function(item)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, items))
