"""The time within which a test expects an error."""

import contextlib
import time
from collections.abc import Iterator

# Where nothing else is at work, a dead server is named within 15 s. A slow, busy machine takes up to four times that.
# A call without a timeout takes minutes, so the check fails.
SECONDS = 60


@contextlib.contextmanager
def soon() -> Iterator[None]:
    """Check that the block ends within `SECONDS`, also if it ends with an exception."""
    started = time.monotonic()
    try:
        yield
    finally:
        assert time.monotonic() - started < SECONDS
