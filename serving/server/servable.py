"""A loaded version of a model, with a count of the requests that use it."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from serving.server.batching import Scheduler
from serving.server.loader import LoadedModel


class Servable:
    """One version that answers requests; it counts them, so that it is unloaded after the last one.

    Safe to share between threads.

    Args:
        name: the name of the model.
        version: the version number.
        model: the loaded SavedModel.
        scheduler: runs the model.
    """

    def __init__(self, name: str, version: int, model: LoadedModel, scheduler: Scheduler) -> None:
        self.name = name
        self.version = version
        self.model = model
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._in_use = 0
        self._on_idle: Callable[[], object] | None = None

    async def run(self, feeds: Sequence[str], values: list[np.ndarray], fetches: Sequence[str]) -> list[np.ndarray]:
        """Run the graph; see `LoadedModel.run`. Call it within a lease (`ModelManager.lease`).

        Raises:
            StatusError: see `Scheduler.run`.
        """
        self.retain()
        return await self._scheduler.run(self.name, self.model, feeds, values, fetches, self.release)

    def retain(self) -> None:
        """Keep the model loaded until `release` is called."""
        with self._lock:
            self._in_use += 1

    def release(self) -> None:
        """Undo one `retain`."""
        with self._lock:
            self._in_use -= 1
            idle = self._on_idle if not self._in_use else None
        if idle is not None:
            idle()

    def retire(self, on_idle: Callable[[], object]) -> None:
        """Call `on_idle` once, when no request uses the model any more. No further request may begin."""
        with self._lock:
            self._on_idle = on_idle
            idle = not self._in_use
        if idle:
            on_idle()
