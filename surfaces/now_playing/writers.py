"""The way of interactions to the online store: one writer a listener, so that no push overwrites another."""

import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from segue.errors import SegueError, UnavailableError

if TYPE_CHECKING:
    from feature_repo.pushes import Interaction, Pusher

log = logging.getLogger(__name__)

WORKERS = 4
WAITING = 1_000  # interactions that may wait for one worker
TOGETHER = 64  # most interactions of one transaction
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two attempts while the online store does not answer

Pushed = Future[bool]  # True: it is online; False: it was refused or dropped, and the next refresh brings it


class Writers:
    """Pushes interactions to the online store, in the order of each listener, without making the caller wait.

    A push reads a history, extends it and writes it, and two pushes at a time would lose one. A stable hash of the
    listener picks the worker, so that one listener's pushes come one after the other, also after a restart.

    An interaction that is older than its listener's newest one is refused by `Pusher`: the online history stays in
    order, and the next refresh puts the interaction in its place. A store that does not answer is asked again until it
    does; `trouble` says so meanwhile, and the interactions wait.

    Args:
        open_pusher: opens a pusher; each worker's thread calls it once.
        workers: threads.
        waiting: interactions that may wait for one worker.
    """

    def __init__(self, open_pusher: Callable[[], "Pusher"], workers: int = WORKERS, waiting: int = WAITING) -> None:
        self._open_pusher = open_pusher
        self._closing = threading.Event()
        self._queues: list[queue.Queue[tuple[Interaction, Pushed] | None]] = [
            queue.Queue(waiting) for _ in range(workers)
        ]
        self._troubles: list[SegueError | None] = [None] * workers
        self.pushed = self.refused = self.dropped = 0  # for the metrics; a lost count harms nothing
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"online-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def trouble(self) -> SegueError | None:
        """Why the online store does not take pushes now; None if it does."""
        return next((trouble for trouble in self._troubles if trouble), None)

    def backlog(self) -> int:
        """How many interactions wait."""
        return sum(waiting.qsize() for waiting in self._queues)

    def require_room(self, user_ids: Sequence[str]) -> None:
        """Refuse feedback before it is journaled, if the writer of a listener has no room for it.

        Raises:
            UnavailableError: too much waits.
        """
        for user_id in set(user_ids):
            waiting = self._queues[self._worker(user_id)]
            if waiting.qsize() + len(user_ids) > waiting.maxsize:
                raise UnavailableError(
                    f"At most {waiting.maxsize} interactions wait for a writer of the online store. "
                    f"{waiting.qsize()} wait now.",
                    str(self.trouble or "Send the feedback again in some seconds."),
                )

    def submit(self, interaction: "Interaction") -> Pushed:
        """Hand over an interaction. If the writer has no room it is dropped: the journal has it for the next refresh.

        Returns:
            A future that is done when readers see the interaction online.
        """
        future: Pushed = Future()
        try:
            if self._closing.is_set():
                raise queue.Full
            self._queues[self._worker(interaction.user_id)].put_nowait((interaction, future))
        except queue.Full:
            self.dropped += 1
            future.set_result(False)
        return future

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop what waits of the listeners for whom `gone` is true."""
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
        for waiting in self._queues:
            try:
                waiting.put(None, timeout=seconds)
            except queue.Full:
                log.warning("%d interactions are not online: the writers were stopped", waiting.qsize())
        for thread in self._threads:
            thread.join(seconds)

    def _worker(self, user_id: str) -> int:
        return int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:8]) % len(self._queues)

    def _work(self, number: int) -> None:
        """Push until the writers are closed: what came during a transaction shares the next one."""
        waiting, last = self._queues[number], False
        pusher: Pusher | None = None
        while not last:
            batch = [waiting.get()]
            while len(batch) < TOGETHER and not waiting.empty():
                batch.append(waiting.get_nowait())
            last = None in batch
            taken = [one for one in batch if one is not None]
            if taken:
                pusher = self._push(number, pusher, taken)

    def _push(self, number: int, pusher: "Pusher | None", taken: list[tuple["Interaction", Pushed]]) -> "Pusher | None":
        """Push a batch, and tell its futures; return the pusher, which is opened at the first batch."""
        interactions = [interaction for interaction, _ in taken]
        try:
            pusher = pusher or self._until_answered(number, self._open_pusher)
            refusals = self._until_answered(number, lambda: pusher.extend(interactions))
            accepted = [one for one, refusal in zip(interactions, refusals, strict=True) if refusal is None]
            self._until_answered(number, lambda: pusher.count(accepted))
        except Exception as error:  # a batch that cannot be pushed must not stop the listeners behind it
            self.dropped += len(taken)
            log.error("%d interactions are not online, the next refresh brings them: %s", len(taken), error)
            refusals = [error] * len(taken)
        else:
            self.pushed += len(accepted)
            self.refused += len(taken) - len(accepted)
        for (_, future), refusal in zip(taken, refusals, strict=True):
            future.set_result(refusal is None)
        return pusher

    def _until_answered(self, number: int, call: Callable):
        """The result of a call, which is repeated while the online store does not answer.

        Raises:
            UnavailableError: the store does not answer, and the writers are closing.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                result = call()
            except UnavailableError as error:
                if self._troubles[number] is None:
                    log.warning("the online store does not take pushes: %s", error)
                self._troubles[number] = error
                if self._closing.wait(pause):
                    raise
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if self._troubles[number] is not None:
                    log.warning("the online store takes pushes again")
                self._troubles[number] = None
                return result
