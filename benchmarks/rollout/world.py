"""Listeners of a roll-out: their requests in steps of a few hours, and what they do with the answers.

The small site has the numbers of the synthetic world `small`: 1,704 listeners with 538 requests a day; the other one
has ten times as many. Listeners differ in how often they come, by a gamma distribution, and in how much they like, by a
normal effect on the logit of a play.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from benchmarks.experiments.listeners import ACTIVITY_SHAPE, sigmoid
from benchmarks.experiments.log import LISTENER_SD, PAGE, PLAY
from experiments.assignment.cohorts import cohort
from experiments.statistics.effects import Sums
from rollout.looks import Look, Seen

SITES = {"small": 1_704, "ten_times": 17_040}  # listeners
REQUESTS = 538 / 1_704  # of a listener on a day, on average
STEP = timedelta(hours=6)
STEPS_A_DAY = 4
DAYS_BEFORE = 14  # whose sums reduce the variance
SKIP = 0.3  # share of the plays that are skipped
ERRORS, SLOW = 0.002, 0.01  # share of the requests


@dataclass
class Counts:
    """What listeners did, summed for each, `[n]`."""

    requests: np.ndarray
    started: np.ndarray
    skipped: np.ndarray

    def __iadd__(self, other: "Counts") -> "Counts":
        self.requests += other.requests
        self.started += other.started
        self.skipped += other.skipped
        return self


@dataclass(frozen=True)
class Step:
    """A step of the world.

    Args:
        look: Both cohorts since each listener entered them.
        control, candidate: The reward and the requests of the cohorts in this step alone.
        by_candidate: Requests that the candidate answered so far.
        requests: All requests so far.
    """

    look: Look
    control: tuple[float, float]
    candidate: tuple[float, float]
    by_candidate: int
    requests: int


class World:
    """Listeners of one roll-out.

    Args:
        effect: The candidate's true reward over the control's, minus 1: half by plays, half by skips (on the
            logarithm).
        salt: The roll-out's.
        listeners: How many listeners there are.
        rng: Draws everything.
    """

    def __init__(self, effect: float, salt: str, listeners: int, rng: np.random.Generator) -> None:
        self.rng, self.salt = rng, salt
        self.users = [f"u{number:05}" for number in range(listeners)]
        factor = np.sqrt(1 + effect)
        self.plays, self.skip = factor, 1 - (1 - SKIP) * factor
        self.likes = sigmoid(PLAY + rng.normal(0, LISTENER_SD, listeners))
        self.activity = rng.gamma(ACTIVITY_SHAPE, REQUESTS / ACTIVITY_SHAPE, listeners)
        self.before = self.drawn(np.zeros(listeners, dtype=bool), DAYS_BEFORE)
        self.since = Counts(*(np.zeros(listeners) for _ in range(3)))
        self.errors, self.slow = [0, 0], [0, 0]  # of the control and the candidate
        self.share, self.sides = 0.0, np.full(listeners, "")
        self.newest: list[datetime | None] = [None, None]
        self.by_candidate = self.requests = 0

    def drawn(self, treated: np.ndarray, days: float) -> Counts:
        """Draw what listeners do in some days, with the candidate where `treated` says so, `[n]`."""
        requests = self.rng.poisson(self.activity * days)
        started = self.rng.binomial(PAGE * requests, self.likes * np.where(treated, self.plays, 1.0))
        skipped = self.rng.binomial(started, np.where(treated, self.skip, SKIP))
        return Counts(requests.astype(float), started.astype(float), skipped.astype(float))

    def step(self, share: float, at: datetime) -> Step:
        """Go on by one step, which ends at an instant and in which the candidate has a share of the listeners."""
        arms = self.cohorts(share)
        now = self.drawn(arms[1], 1 / STEPS_A_DAY)
        inside = arms[0] | arms[1]
        self.since += Counts(*(each * inside for each in (now.requests, now.started, now.skipped)))
        requests = [int(now.requests[arm].sum()) for arm in arms]
        for number, count in enumerate(requests):
            self.errors[number] += int(self.rng.binomial(count, ERRORS))
            self.slow[number] += int(self.rng.binomial(count, SLOW))
            self.newest[number] = at if count else self.newest[number]
        self.by_candidate += requests[1]
        self.requests += int(now.requests.sum())
        control, candidate = (self.seen(number, arm) for number, arm in enumerate(arms))
        fresh = [(float((now.started - now.skipped)[arm].sum()), float(now.requests[arm].sum())) for arm in arms]
        return Step(Look(control, candidate), fresh[0], fresh[1], self.by_candidate, self.requests)

    def cohorts(self, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Return who is in the control and in the candidate's cohort, each `[n]`."""
        if share != self.share:
            self.sides = np.array([cohort(self.salt, user, share) or "" for user in self.users])
            self.share = share
        return self.sides == "control", self.sides == "candidate"

    def seen(self, number: int, arm: np.ndarray) -> Seen:
        """Return what was seen of a cohort since its listeners entered it."""
        here, before = arm & (self.since.requests > 0), self.before
        since = self.since
        return Seen(
            int(since.requests[here].sum()),
            self.errors[number],
            self.slow[number],
            self.newest[number],
            Sums(
                (since.started - since.skipped)[here],
                since.requests[here],
                (before.started - before.skipped)[here],
                before.requests[here],
            ),
            Sums(since.skipped[here], since.started[here], before.skipped[here], before.started[here]),
        )
