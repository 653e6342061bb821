"""A loaded version of a model: who is using it, and how its graph is run."""

import threading
from collections.abc import Callable, Sequence

import numpy as np

from serving.server.batching import Scheduler
from serving.server.loader import LoadedModel


class Servable:
    """One version that answers requests. Safe to share between threads.

    Args:
        name: the model's name.
        version: its number.
        model: the SavedModel.
        scheduler: runs it.
    """

    def __init__(self, name: str, version: int, model: LoadedModel, scheduler: Scheduler) -> None:
        self.name = name
        self.version = version
        self.model = model
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._users = 0
        self._on_idle: Callable[[], object] | None = None

    async def run(self, feeds: Sequence[str], values: list[np.ndarray], fetches: Sequence[str]) -> list[np.ndarray]:
        """Run the graph; see `LoadedModel.run`. Must be called under a lease.

        Raises:
            StatusError: TensorFlow's own, or that of `Scheduler.run`.
        """
        self.retain()
        return await self._scheduler.run(self.name, self.model, feeds, values, fetches, self.release)

    def retain(self) -> None:
        """Keep the model loaded until `release`."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Undo one `retain`."""
        with self._lock:
            self._users -= 1
            idle = self._on_idle if not self._users else None
        if idle is not None:
            idle()

    def retire(self, on_idle: Callable[[], object]) -> None:
        """Call `on_idle` once, as soon as nobody uses the model; nobody new may come."""
        with self._lock:
            self._on_idle = on_idle
            idle = not self._users
        if idle:
            on_idle()
