"""Promotions and rollbacks under load: no call fails, no answer mixes versions, and a rollback waits for nothing."""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Say
from benchmarks.rollout.site import Site, running
from benchmarks.rollout.stored_models import MODELS
from events.journal.journal import open_journal
from rollout import moves
from rollout.decision import Decision
from rollout.plan import Plan
from rollout.rollout import DRAIN
from rollout.state_file import read
from segue.clock import utc_now
from segue.errors import UnavailableError
from segue.settings import Home
from serving.store import model_store, versions
from serving.store.moving import Announce
from serving.store.relabel import move_labels
from serving.store.versions import CANARY, STABLE
from stores.settings import settings
from tests.faults.rollout_load import PIN_SECONDS, RolloutLoad, variant

BACK_SECONDS = 1.0  # from a rollback to the candidate's last answer in a page
UP_SECONDS = 60.0  # until the candidate answers
QUIET = 0.2  # seconds after which a listener's page is certainly of a request after the rollback was seen
HELD_SECONDS = 4.0  # for which the store's lock is held, by nobody or while a version is loading
PLAN = Plan(shadow=0.0, stages=(0.5,))
DISTURBED = ("lock", "loading", "")  # what disturbs a rollback, in turn


@dataclass
class Rounds:
    """What rounds found.

    Attributes:
        promotions: their number.
        back: what disturbed each rollback, and the seconds from its decision to the candidate's last answer.
        answered: answers by kind of caller.
        fallbacks: pages with a fallback of a stage that is not the roll-out's.
        wrong: what is wrong, a sentence each.
    """

    promotions: int = 0
    back: list[tuple[str, float]] = field(default_factory=list)
    answered: dict[str, int] = field(default_factory=dict)
    fallbacks: int = 0
    wrong: list[str] = field(default_factory=list)


def run_rounds(home: Home, rounds: int, requests: int, say: Say) -> Rounds:
    """Roll a new candidate out in each round, under load; promote and take back in turn.

    Args:
        home: of `benchmarks.rollout.site.made`; it is written to.
        rounds: promotions and rollbacks together.
        requests: answers, which the rounds share; each round goes on until it has its part.
        say: prints progress.
    """
    found = Rounds()
    with running(home, say) as site:
        with RolloutLoad(site).running() as load:
            for number in range(rounds):
                before, wanted = time.perf_counter(), requests * (number + 1) // rounds
                try:
                    one_round(site, load, found, number)
                except (AssertionError, TimeoutError) as error:
                    found.wrong.append(f"round {number}: {error}")
                until(lambda wanted=wanted: sum(load.answered.values()) >= wanted, seconds=600)
                say(f"round {number + 1}: {time.perf_counter() - before:.0f} s, {sum(load.answered.values())} answers")
        found.answered, found.fallbacks = dict(load.answered), load.fallbacks
        found.wrong += load.failed + mixed_pages(home, load.pages)
        found.wrong += [f"rollback, {how or 'plain'}: {s:.2f} s" for how, s in found.back if s > BACK_SECONDS]
    return found


def one_round(site: Site, load: RolloutLoad, found: Rounds, number: int) -> None:
    """Push a candidate, roll it out to half of the listeners, add items, and promote it or take it back."""
    root, announce = site.home.models, partial(move_labels, site.server)
    saved = site.home.root / "saved"
    newest = max(version for model in versions.models(root) for version in versions.versions(root, model))
    load.candidate, load.last = newest + (number > 0), 0.0  # the site has the first canary
    if number:
        kind = int(variant(load.candidate))
        model_store.push(root, {model: saved / f"{model}-{kind}" for model in MODELS}, label=CANARY)
    moves.start(root, None, PLAN, "test", utc_now(), announce)
    until(lambda: load.last > 0)
    add_items(site, load, announce)
    if number % 2 == 0:
        moves.act(root, Decision("promote", "A round."), "test", utc_now(), announce)
        found.promotions += 1
        return
    how = DISTURBED[number // 2 % len(DISTURBED)]
    with disturbed(how, site):
        before = time.perf_counter()
        acting = threading.Thread(
            target=moves.act, args=(root, Decision("take back", "A round."), "test", utc_now(), announce)
        )
        acting.start()
        until(lambda: min(load.asked) > max(before, load.last) + QUIET)
        found.back.append((how, max(0.0, load.last - before)))
    acting.join()
    time.sleep(DRAIN.total_seconds())
    state = moves.settle(root, utc_now() + timedelta(seconds=1), announce)
    assert state.rollout is not None
    assert state.rollout.phase == "taken back", state.rollout.phase


def add_items(site: Site, load: RolloutLoad, announce: Announce) -> None:
    """Let both sides get successors, as `segue models add-items` does, and wait until the candidate's answers a page.

    Each is the model whose score tells its version; what it knows plays no part here.
    """
    root, saved = site.home.models, site.home.root / "saved"
    rollout = read(root).rollout
    assert rollout is not None
    before, after = {STABLE: rollout.control, CANARY: rollout.candidate}, {}
    for label in (STABLE, CANARY):
        version = 1 + max(each for model in versions.models(root) for each in versions.versions(root, model))
        models = {model: saved / f"{model}-{int(variant(version))}" for model in MODELS}
        after[label] = dict.fromkeys(MODELS, model_store.push(root, models, label=None))
    load.candidate, load.last = after[CANARY][MODELS[0]], 0.0
    moves.add_items(root, before, after, "A round", "test", utc_now(), announce)
    until(lambda: load.last > 0)
    time.sleep(2 * PIN_SECONDS)  # nobody decides within the second in which clients still pin what was stable before


@contextmanager
def disturbed(how: str, site: Site) -> Iterator[None]:
    """Hold the store's lock, by nobody or by a version that a server takes long to load, while the body begins."""
    threads: list[threading.Thread] = []
    if how == "lock":
        held = threading.Event()
        threads.append(threading.Thread(target=hold, args=(site.home.models, held)))
        threads[0].start()
        held.wait()
    elif how == "loading":
        warmup = {"slow": [{"request_ts": np.zeros(200, np.int64)}] * 1_000}
        version = model_store.push(site.home.models, {"slow": site.home.root / "saved" / "retrieval-1"}, warmup=warmup)
        threads.append(threading.Thread(target=load_slowly, args=(site, version)))
        threads[0].start()
        time.sleep(0.3)  # it has the lock, and the server has begun to load
    yield
    for thread in threads:
        thread.join()


def hold(root: Path, held: threading.Event) -> None:
    """Hold the store's lock for some time."""
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held.set()
        time.sleep(HELD_SECONDS)


def load_slowly(site: Site, version: int) -> None:
    """Promote a version, and hold the store's lock while the server loads it. An earlier rollback refuses it."""
    with suppress(UnavailableError):
        model_store.promote(site.home.models, version, "slow", partial(move_labels, site.server))


def mixed_pages(home: Home, pages: dict[str, int]) -> list[str]:
    """Return what is wrong with the exposures of pages: their scores must be those of one version, and of the named."""
    wrong = []
    journal = open_journal(home, settings())
    try:
        for request_id, version in pages.items():
            for shown in journal.exposures(request_id):
                scores = {value for name, value in shown.scores.items() if name in ("reward", "retrieval_score")}
                if scores != {variant(version)} or set(shown.model_versions.values()) != {version}:
                    wrong.append(f"page {request_id} of {version}: {scores}, {shown.model_versions}")
    finally:
        journal.close()
    return wrong


def until(true: Any, seconds: float = UP_SECONDS) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing after {seconds:.0f} s")
        time.sleep(0.01)
