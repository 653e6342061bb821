"""Callers of a site, each in a thread of its own."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def at_work(callers: Iterable[Callable[[], None]], ended: threading.Event) -> Iterator[None]:
    """Run callers while the body does, and wait for their end.

    Args:
        callers: they return soon after `ended` is set.
        ended: is set after the body.
    """
    threads = [threading.Thread(target=caller) for caller in callers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
