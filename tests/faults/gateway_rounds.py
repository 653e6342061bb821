"""Rounds of killing what the gateway stands on, under load: nothing acknowledged is lost, and nothing counts twice."""

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from events.journal.collect import collect_home
from events.journal.journal import Journal, open_journal
from events.journal.records import read_feedback
from events.schema import SKIP
from feature_repo.feast_store import open_store
from feature_repo.online import listener, session_state
from segue.errors import SegueError
from segue.settings import Home
from stores.settings import settings
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient
from tests.faults.gateway_load import Ledger, Load
from tests.faults.gateway_stack import GATEWAY, VICTIMS, Stack, stack

LISTENERS = 6  # of a round
BACK_SECONDS = 5.0  # from the moment at which the victim answers again to whole pages
PATIENCE = 30.0  # seconds until a check gives up
ONLINE_SECONDS = 10.0  # until the last event is online
KEEP = timedelta(days=1)


@dataclass(frozen=True)
class Round:
    """A round.

    Attributes:
        profile: `cluster` or `embedded`.
        victim: what was killed.
        down: seconds from the kill until the victim answered again.
        back: seconds from then until pages were whole and `/readyz` named nothing as down.
        ledger: what the clients know.
        wrong: what is wrong, a sentence each.
    """

    profile: str
    victim: str
    down: float
    back: float
    ledger: Ledger
    wrong: list[str] = field(default_factory=list)


def plan(count: int, seed: int) -> list[tuple[str, str]]:
    """Draw a profile and a victim for each round; rounds of one profile come together, because they share servers."""
    weights = {(profile, victim): weight for profile, some in VICTIMS.items() for victim, weight in some.items()}
    drawn = random.Random(seed).choices(list(weights), list(weights.values()), k=count)
    return sorted(drawn, key=lambda pair: pair[0])


def run_rounds(rounds: list[tuple[str, str]], seed: int, trained: Home, folder: Path) -> Iterator[Round]:
    """Run rounds in the order given.

    Args:
        rounds: pairs of a profile and a victim, those of one profile together.
        seed: one seed, the same faults; the moments follow the machine.
        trained: a home with an imported log, online features and pushed models, which is copied.
        folder: an empty folder.
    """
    chance = random.Random(seed)
    for profile in dict.fromkeys(profile for profile, _ in rounds):
        home = Home(folder / profile / "home")
        shutil.copytree(trained.root, home.root, ignore=shutil.ignore_patterns("runs", ".lock"))
        users = sorted(pq.read_table(home.data / "users.parquet")["user_id"].to_pylist())
        with stack(profile, home, folder / profile / "servers") as running:
            until_whole(running.address, users[0])  # the first calls open connections
            for number, (_, victim) in enumerate(pair for pair in rounds if pair[0] == profile):
                some = chance.sample(users, LISTENERS)
                yield run_round(running, profile, victim, f"{profile}-{number}", some, chance)


def run_round(running: Stack, profile: str, victim: str, name: str, users: list[str], chance: random.Random) -> Round:
    """Kill a part of a running stack under load, start it again, and check what was acknowledged meanwhile."""
    with closing(open_journal(running.home, settings())) as journal:
        begun = journal.keeping.newest()
    with Load(running.address, name, users) as load:
        time.sleep(chance.uniform(0.5, 1.5))
        running.kill(victim)
        killed = time.monotonic()
        time.sleep(chance.uniform(0.0, 1.5))
        running.start(victim)
        up = time.monotonic()
        back = until_whole(running.address, users[0]) - up
        time.sleep(1)
    wrong = list(load.ledger.wrong)
    if back > BACK_SECONDS:
        wrong.append(f"whole pages came {back:.1f} s after the {victim} answered")
    wrong += online_faults(running.home, load)
    with closing(open_journal(running.home, settings())) as journal:
        wrong += journal_faults(journal, begun, load.ledger, pages=victim != GATEWAY)
        collect_home(journal, running.home, datetime.now(UTC), KEEP)
    wrong += log_faults(running.home, load.ledger)
    return Round(profile, victim, up - killed, back, load.ledger, wrong)


def until_whole(address: str, user: str) -> float:
    """Wait until pages are whole and nothing is down, and return when that was seen (`time.monotonic`)."""
    deadline = time.monotonic() + PATIENCE
    with GatewayClient(address) as client:
        while time.monotonic() < deadline:
            try:
                page = client.home(api.HomeRequest(user_id=user))
                if not page.level and not page.degraded and not client.state().down:
                    break
            except SegueError:
                pass
            time.sleep(0.05)
    return time.monotonic()


def online_faults(home: Home, load: Load) -> Iterator[str]:
    """Yield what is wrong with the online histories and the counts of sessions: each event is there once."""
    deadline = time.monotonic() + ONLINE_SECONDS
    faults = ["not read"]
    while faults and time.monotonic() < deadline:
        faults = list(once_online(home, load))
    yield from faults


def once_online(home: Home, load: Load) -> Iterator[str]:
    """Yield how the online store now differs from the acknowledged events."""
    store, events = open_store(home), load.ledger.events
    for user in {event.user_id for event in events}:
        features = listener(store, user).features_at(datetime.now(UTC) + timedelta(minutes=1))
        names = ("history_items", "history_actions", "history_times")
        history = Counter(zip(*(features[name] for name in names), strict=True))
        # Interactions of the same item, action and second are one; a clock that is set back may make such.
        theirs = {(one.item_id, one.action, int(one.ts.timestamp())) for one in events if one.user_id == user}
        for entry in theirs:
            if history[entry] != 1:
                yield f"{entry} of {user} is {history[entry]} times in the online history"
        skips = sum(action == SKIP for _, action, _ in theirs)
        wanted = {"session_plays": len(theirs) - skips, "session_skips": skips}
        if (counted := session_state(store, load.session(user))) != wanted:
            yield f"the session of {user} counts {counted} instead of {wanted}: {sorted(theirs)}"


def journal_faults(journal: Journal, begun: str, ledger: Ledger, pages: bool) -> Iterator[str]:
    """Yield what is wrong with the journal: it has each acknowledged event once, and the pages if they must be there.

    Args:
        journal: the journal.
        begun: its cursor before the round.
        ledger: what the clients know.
        pages: whether each answered page must be there. A page is answered before it is written, so a gateway that is
            killed may lose the last ones.
    """
    kept = Counter(read_feedback(body).event_id for one in journal.keeping.changed(begun) for body in one.feedback)
    for event in ledger.events:
        if kept[event.event_id] != 1:
            yield f"event {event.event_id} is {kept[event.event_id]} times in the journal"
    if pages:
        for request_id in ledger.pages:
            if not journal.exposures(request_id):
                yield f"the page of request {request_id} is not in the journal"


def log_faults(home: Home, ledger: Ledger) -> Iterator[str]:
    """Yield what is wrong with the collected log: it has each acknowledged event once."""
    ids = ds.dataset(home.data / "events", partitioning="hive").to_table(columns=["event_id"])["event_id"]
    collected = Counter(ids.to_pylist())
    for event in ledger.events:
        if collected[event.event_id] != 1:
            yield f"event {event.event_id} is {collected[event.event_id]} times in the collected log"
