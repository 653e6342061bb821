"""The shadow: sampled requests are sent to the candidate, too, and nobody sees what it answers.

A request is put in a queue once its page is decided. One worker takes them, so the candidate gets at most one request
at a time from a gateway; a request that finds the queue full is dropped, and no page waits. Nothing is journaled or
remembered. Home and new releases have a shadow; the next items of a session do not, because an answer changes it.
"""

import asyncio
import contextlib
import logging
import time
from typing import NamedTuple

from experiments.assignment.buckets import bucket
from experiments.assignment.layers import width
from segue.errors import SegueError
from serving.store.split import Split
from surfaces.cohorts.counts import SHADOW, STABLE_SHADOW
from surfaces.engine.metrics import GatewayMetrics, Reading
from surfaces.engine.page import ShownPage
from surfaces.engine.path import Answer, Path, Surface
from surfaces.request import Request

log = logging.getLogger(__name__)

MOST = 32  # requests that wait
TOP = 10  # items that are compared


class Shown(NamedTuple):
    """A request that was answered by stable versions.

    Args:
        split: of the roll-out.
        surface, request: what was asked.
        page: what was shown.
        error: whether it counts as an error.
        seconds: from the request to the page.
    """

    split: Split
    surface: Surface[ShownPage]
    request: Request
    page: ShownPage
    error: bool
    seconds: float


class Shadow:
    """Sends requests to the candidate of a roll-out.

    Args:
        path: answers them.
        metrics: take what is found.

    Attributes:
        dropped: requests that found the queue full.
    """

    def __init__(self, path: Path, metrics: GatewayMetrics) -> None:
        self._path, self._counts = path, metrics.cohorts
        self._waiting: asyncio.Queue[Shown] = asyncio.Queue(MOST)
        self.dropped = 0
        said = "Requests that were not sent to the shadow, because its queue was full."
        metrics.readings.append(Reading("segue_gateway_shadow_dropped_total", "counter", said, lambda: self.dropped))

    def offer(self, surface: Surface[ShownPage], request: Request, answer: Answer[ShownPage], page: ShownPage) -> None:
        """Queue a request that was answered by stable versions, if it is one of the sample."""
        split = self._path.experiments.split
        if split is None or not split.shadow or answer.context.arms.versions:
            return
        if bucket(f"{split.salt}/shadow", request.request_id) >= width(split.shadow):
            return
        error = bool(page.level or answer.trace.degraded or not page.shelves)
        seconds = time.perf_counter() - answer.trace.began
        try:
            self._waiting.put_nowait(Shown(split, surface, request, page, error, seconds))
        except asyncio.QueueFull:
            self.dropped += 1

    async def work(self) -> None:
        """Send what waits to the candidate, one after the other, for ever."""
        while True:
            shown = await self._waiting.get()
            try:
                await self.send(shown)
            except Exception:  # the next request is sent all the same
                log.exception("a request of the shadow failed")

    async def send(self, shown: Shown) -> None:
        """Send a request to the candidate, and count both answers."""
        began = time.perf_counter()
        error, overlap = True, 0.0
        with contextlib.suppress(SegueError):
            answer = await self._path.shadow(shown.surface, shown.request, shown.split.candidate)
            error = bool(answer.level or answer.level is None or answer.trace.degraded or not answer.page.shelves)
            overlap = shared(shown.page, answer.page)
        cohorts, at = self._counts.by_number[shown.split.number], shown.request.at
        cohorts[STABLE_SHADOW].add(shown.error, shown.seconds, at)
        cohorts[SHADOW].add(error, time.perf_counter() - began, at, overlap)


def shared(shown: ShownPage, other: ShownPage) -> float:
    """Return the share of the first items of a page that another page has among its first; 0 without an item."""
    first, others = ({item.item_id for item in page.items[:TOP]} for page in (shown, other))
    return len(first & others) / len(first) if first else 0.0
