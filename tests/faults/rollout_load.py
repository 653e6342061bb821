"""Callers of a site under a roll-out: the gateway's listeners, and clients of the model server by label and version."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from benchmarks.rollout.callers import at_work
from benchmarks.rollout.site import Site
from benchmarks.rollout.stored_models import MODELS
from segue.errors import SegueError
from serving.client.sync_client import Client
from serving.store.versions import CANARY, STABLE
from surfaces.engine.stage import CANDIDATE
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient

LISTENERS = 2  # who ask the gateway at the same time
PAUSE = 0.02  # seconds between two calls of a client of the model server
PIN_SECONDS = 1.0  # how long a client keeps the versions that it has read, as the gateway does
INPUTS = {
    "retrieval": {"request_ts": np.zeros(1, np.int64)},
    "ranking": {"candidate_ids": np.array([["a", "b"]], object)},
}
OUTPUT = {"retrieval": "scores", "ranking": "reward"}


def variant(version: int) -> float:
    """The score that tells a version: versions take turns between the two models that were saved."""
    return float((version - 1) % 2 + 1)


class RolloutLoad:
    """Callers at work.

    Args:
        site: the site.

    Attributes:
        answered: answers by kind of caller.
        failed: calls that failed, pages whose versions did not answer, and answers of more than one version; a sentence
            each.
        pages: request id -> the version of each whole page.
        fallbacks: pages with a fallback of another stage, late or failed; the load may be more than the machine can do.
        candidate: the version that is tried now.
        last: when the candidate of now was last seen in a page, seconds of `time.perf_counter`.
        asked: when the request of each listener's last page began.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self.pages: dict[str, int] = {}
        self.fallbacks = 0
        self.candidate, self.last = 0, 0.0
        self.asked = [0.0] * LISTENERS
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator["RolloutLoad"]:
        """The load, while the body runs."""
        callers = [partial(self._listen, number) for number in range(LISTENERS)]
        callers += [partial(self._by_label, label) for label in (STABLE, CANARY, None)]
        callers += [partial(self._pinned, label) for label in (STABLE, CANARY)]
        with at_work(callers, self._ended):
            yield self

    def _listen(self, number: int) -> None:
        """Ask the gateway for Home pages, each by one version of both models."""
        users = itertools.cycle(self._site.users[number::LISTENERS])
        with GatewayClient(self._site.gateway) as client:
            while not self._ended.is_set():
                began = time.perf_counter()
                try:
                    page = client.home(api.HomeRequest(user_id=next(users)))
                except SegueError as error:
                    self.failed.append(f"home: {error}")
                    continue
                versions = set(page.versions.values())
                if len(versions) != 1 or {"versions", CANDIDATE} & set(page.degraded):
                    self.failed.append(f"home {page.request_id}: level {page.level}, {page.degraded}, {page.versions}")
                if self.candidate in versions:
                    self.last = time.perf_counter()
                if page.level or page.degraded:
                    self.fallbacks += 1
                else:
                    self.pages[page.request_id] = max(versions)
                self.asked[number] = began
                self.answered["gateway"] += 1

    def _by_label(self, label: str | None) -> None:
        """Ask each model in turn by a label, or without one."""
        name = label or "unlabelled"
        with Client(self._site.server) as client:
            for model in itertools.cycle(MODELS):
                if self._ended.is_set():
                    return
                try:
                    self._check(name, client.predict(model, INPUTS[model], label=label)[OUTPUT[model]])
                except SegueError as error:
                    self.failed.append(f"{name} {model}: {error}")
                self._ended.wait(PAUSE)

    def _pinned(self, label: str) -> None:
        """Read the versions of a label, and ask both models by them for some time, as the gateway does."""
        with Client(self._site.server) as client:
            while not self._ended.is_set():
                try:
                    versions = self._read(client, label)
                    until = time.monotonic() + PIN_SECONDS
                    while time.monotonic() < until and not self._ended.is_set():
                        for model, version in versions.items():
                            answer = client.predict(model, INPUTS[model], version=version)[OUTPUT[model]]
                            self._check("pinned", answer, variant(version))
                            self._ended.wait(PAUSE)
                except SegueError as error:
                    self.failed.append(f"pinned to {label}: {error}")

    def _read(self, client: Client, label: str) -> dict[str, int]:
        """The versions of a label: one set, so two readings agree."""
        while True:
            first, again = ({model: min(client.status(model, label=label)) for model in MODELS} for _ in range(2))
            if first == again:
                return first

    def _check(self, name: str, scores: np.ndarray, wanted: float | None = None) -> None:
        """Count an answer; all of its scores come from one version, and from the wanted one."""
        found = set(scores.ravel().tolist())
        if len(found) != 1 or not found <= {1.0, 2.0} or wanted not in {None, *found}:
            self.failed.append(f"{name}: scores {found}, wanted {wanted}")
        self.answered[name] += 1
