"""The way of interactions to the online store: they wait for it, and the journal replays what was dropped."""

import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from segue.errors import SegueError, UnavailableError

if TYPE_CHECKING:
    from feature_repo.pushes import Interaction, Pusher

log = logging.getLogger(__name__)

WORKERS = 4
WAITING = 1_000  # interactions that may wait for one worker
TOGETHER = 64  # most interactions of one transaction
BETWEEN = 0.05  # seconds between two transactions of a replay, so that answers do not wait for it
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two attempts while the online store does not answer
REPLAY_PAUSE = 5.0  # seconds after a replay that failed

Pushed = Future[bool]  # True: it is online; False: it was dropped, and a replay brings it


class Writers:
    """Pushes interactions to the online store, without making the caller wait.

    A stable hash of the listener picks the worker, so that one listener's pushes do not wait for each other's
    transactions. A store that does not answer is asked again until it does; `trouble` says so meanwhile, and the
    interactions wait. What no longer has room is dropped.

    The journal has all of them. What it has and no collection has taken is pushed again at the start, because an
    earlier process may have been killed between the journal and its push, and after interactions were dropped. A
    history counts each interaction once.

    Args:
        open_pusher: opens a pusher; each thread has one of its own.
        uncollected: the interactions that are in the journal and in no collection.
        workers: threads.
        waiting: interactions that may wait for one worker.
    """

    def __init__(
        self,
        open_pusher: Callable[[], "Pusher"],
        uncollected: Callable[[], Iterable["Interaction"]],
        workers: int = WORKERS,
        waiting: int = WAITING,
    ) -> None:
        self._open_pusher, self._uncollected = open_pusher, uncollected
        self._closing, self._behind = threading.Event(), threading.Event()
        self._behind.set()
        self._queues: list[queue.Queue[tuple[Interaction, Pushed] | None]] = [
            queue.Queue(waiting) for _ in range(workers)
        ]
        self._troubles: dict[str, SegueError] = {}  # by thread
        self.pushed = self.dropped = 0  # for the metrics; a lost count harms nothing
        self._threads = [
            threading.Thread(target=self._work, args=(waiting,), name=f"online-{number}", daemon=True)
            for number, waiting in enumerate(self._queues)
        ]
        self._threads.append(threading.Thread(target=self._replay, name="online-replay", daemon=True))
        for thread in self._threads:
            thread.start()

    @property
    def trouble(self) -> SegueError | None:
        """Why the online store does not take pushes now; None if it does."""
        return next(iter(list(self._troubles.values())), None)

    @property
    def behind(self) -> bool:
        """Whether interactions of the journal may not be online until a replay has brought them."""
        return self._behind.is_set()

    def backlog(self) -> int:
        """How many interactions wait."""
        return sum(waiting.qsize() for waiting in self._queues)

    def submit(self, interaction: "Interaction") -> Pushed:
        """Hand over an interaction that the journal has. If the writer has no room, it is dropped until a replay.

        Returns:
            A future that is done when readers see the interaction online.
        """
        future: Pushed = Future()
        try:
            if self._closing.is_set():
                raise queue.Full
            self._queues[self._worker(interaction.user_id)].put_nowait((interaction, future))
        except queue.Full:
            self._drop([future])
        return future

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop the waiting interactions of the listeners for whom `gone` is true."""
        for waiting in self._queues:
            with waiting.mutex:
                theirs = [one for one in waiting.queue if one and gone(one[0].user_id)]
                for one in theirs:
                    waiting.queue.remove(one)
            for _, future in theirs:
                future.set_result(False)

    def close(self, seconds: float = 5.0) -> None:
        """Push what waits, for some seconds at most, and stop."""
        self._closing.set()
        self._behind.set()  # the thread of replays ends
        for waiting in self._queues:
            try:
                waiting.put(None, timeout=seconds)
            except queue.Full:
                log.warning("%d interactions are not online: the writers were stopped", waiting.qsize())
        for thread in self._threads:
            thread.join(seconds)

    def _worker(self, user_id: str) -> int:
        return int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:8]) % len(self._queues)

    def _work(self, waiting: "queue.Queue[tuple[Interaction, Pushed] | None]") -> None:
        """Push until the writers are closed: what came during a transaction shares the next one."""
        last, push = False, self._pushing()
        while not last:
            batch = [waiting.get()]
            with suppress(queue.Empty):
                while len(batch) < TOGETHER:
                    batch.append(waiting.get_nowait())
            last = None in batch
            taken = [one for one in batch if one is not None]
            if not taken:
                continue
            futures = [future for _, future in taken]
            try:
                push([interaction for interaction, _ in taken])
            except Exception as error:  # a batch that cannot be pushed must not stop the listeners behind it
                log.error("%d interactions are not online, a replay brings them: %s", len(taken), error)
                self._drop(futures)
            else:
                self.pushed += len(taken)
                for future in futures:
                    future.set_result(True)

    def _replay(self) -> None:
        """Push what the journal has, at the start and whenever interactions were dropped."""
        push = self._pushing()
        while self._behind.wait() and not self._closing.is_set():
            self._behind.clear()
            try:
                interactions = iter(self._uncollected())
                while batch := list(islice(interactions, TOGETHER)):
                    push(batch)
                    self._closing.wait(BETWEEN)
            except Exception as error:
                if not self._closing.is_set():
                    log.error("the journal's interactions are not all online yet: %s", error)
                    self._behind.set()
                    self._closing.wait(REPLAY_PAUSE)

    def _drop(self, futures: list[Pushed]) -> None:
        """Leave interactions to a replay."""
        self.dropped += len(futures)
        self._behind.set()
        for future in futures:
            future.set_result(False)

    def _pushing(self) -> Callable[[list["Interaction"]], None]:
        """A function that pushes a batch, with a pusher that it opens at the first batch and after each failure.

        It raises UnavailableError if the store does not answer and the writers are closing.
        """
        pusher: Pusher | None = None

        def push(interactions: "list[Interaction]") -> None:
            nonlocal pusher
            pause, name = FIRST_PAUSE, threading.current_thread().name
            while True:
                try:
                    pusher = pusher or self._open_pusher()
                    pusher.extend(interactions)
                except Exception as error:
                    pusher = None  # the file may be another one when the store answers again
                    if not isinstance(error, UnavailableError):
                        raise
                    if not self._troubles:
                        log.warning("the online store does not take pushes: %s", error)
                    self._troubles[name] = error
                    if self._closing.wait(pause):
                        raise
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    if self._troubles.pop(name, None) and not self._troubles:
                        log.warning("the online store takes pushes again")
                    return

        return push
