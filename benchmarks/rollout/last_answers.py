"""From the decision to take a candidate back to its last answer: listeners at work while the share goes up and down."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Say, target
from benchmarks.rollout.callers import at_work
from benchmarks.rollout.site import Site, running
from rollout.decision import Decision
from rollout.moves import SEGUE, decided, start
from rollout.plan import Plan
from rollout.state_file import State, change
from segue.errors import SegueError
from segue.settings import Home
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient

LISTENERS = 4  # who ask at the same time
QUIET = 0.2  # seconds after the candidate's last answer; it is gone if all who ask then are answered by others
UP_SECONDS = 30.0  # until the candidate answers
MOST_SECONDS = 1.0


class Load:
    """Listeners who ask for Home pages, and when the candidate answered, seconds of `time.perf_counter`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.candidate: list[float] = []
        self.asked = [0.0] * LISTENERS  # when the request began that each was answered last
        self.answers = 0
        self.failed: list[str] = []
        self._ended = threading.Event()

    def listen(self, number: int, users: Sequence[str]) -> None:
        """Ask until the load ends."""
        with GatewayClient(self._site.gateway) as client:
            for user in itertools.cycle(users):
                if self._ended.is_set():
                    return
                began = time.perf_counter()
                try:
                    page = client.home(api.HomeRequest.model_validate({"user_id": user}))
                except SegueError as error:
                    self.failed.append(str(error))
                    continue
                self.answers += 1
                if 2 in page.versions.values():
                    self.candidate.append(time.perf_counter())
                self.asked[number] = began

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """The load, while the body runs."""
        users = self._site.users
        callers = [partial(self.listen, number, users[number::LISTENERS]) for number in range(LISTENERS)]
        with at_work(callers, self._ended):
            yield self


def run(home: Home, decisions: int, at: datetime, say: Say) -> dict[str, Any]:
    """Take a candidate back again and again under load.

    Each decision is the write with which `segue rollout abort` and the controller begin; the labels stay, so that the
    next one need not wait for a server.

    Args:
        home: of `site.made`; it is written to.
        decisions: how many.
        at: the instant of all decisions, UTC.
        say: prints progress.

    Returns:
        `decisions`, `pages` that were answered meanwhile, and the seconds from a decision to the candidate's last
        answer: `p50`, `p99`, `most`.

    Raises:
        SegueError: a process does not start, a page fails, or the candidate does not answer.
    """
    with running(home, say) as site:
        root = home.models
        start(root, None, Plan(shadow=0.0, stages=(0.5,)), SEGUE, at)
        seconds = []
        with Load(site).running() as load:
            for number in range(decisions):
                if number % 20 == 0:
                    say(f"decision {number} of {decisions}")
                seconds.append(taken_back(root, load, at))
                change(root, going_on)
        if load.failed:
            raise SegueError(f"{len(load.failed)} pages failed. The first: {load.failed[0]}", "Run it on its own.")
    return {"decisions": decisions, "pages": load.answers, **figures(seconds)}


def taken_back(root: Path, load: Load, at: datetime) -> float:
    """Return the seconds from a decision to the last answer by the candidate; 0 if none came after it."""
    del load.candidate[:]
    wait_until(lambda: len(load.candidate) > 0)
    decision = Decision("take back", "A measure.")
    before = time.perf_counter()
    change(root, lambda state: decided(state, decision, SEGUE, at, {}))
    while min(load.asked) < (last := max([before, *load.candidate])) + QUIET:
        time.sleep(QUIET / 20)
    return last - before


def going_on(state: State) -> State:
    """Return the state with the share of before."""
    assert state.rollout is not None
    return replace(state, rollout=replace(state.rollout, phase="running"), history=state.history[:2])


def wait_until(true: Callable[[], bool]) -> None:
    """Wait until the candidate answers.

    Raises:
        SegueError: there is none in time.
    """
    deadline = time.monotonic() + UP_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise SegueError(f"The candidate answered nobody in {UP_SECONDS:.0f} s.", "Run it on its own.")
        time.sleep(0.01)


def figures(seconds: Sequence[float]) -> dict[str, float]:
    """Return the quantiles of some seconds."""
    return {"p50": float(np.quantile(seconds, 0.5)), "p99": float(np.quantile(seconds, 0.99)), "most": max(seconds)}


def targets(measured: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the targets of a run."""
    return {"decision_to_last_canary_p99": target(measured["p99"], at_most=MOST_SECONDS)}
