"""Logs as the gateway makes them: pages of a layout policy, and what the world's listeners do with them.

Exposures and feedback go through a journal of their own and its collection, and come back as logged pages. Each log has
fresh draws of the layout, of the mood and of the responses.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from benchmarks.surfaces.quality.served_pages import Rows, Served, rows_of
from events import schema
from events.dataset import load
from events.journal.collect import collect
from events.journal.journal import Journal
from events.journal.records import Feedback
from events.journal.sqlite_keeping import SqliteKeeping
from events.world.day import IMPRESSION
from events.world.live.moods import mood_chances
from events.world.live.outcomes import hour_of
from events.world.live.pages import Pages
from events.world.live.responses import DISLIKE, actions, respond
from events.world.live.world import World
from surfaces.engine.page import ShownPage
from surfaces.engine.path import Surface
from surfaces.gateway.exposures import exposures
from surfaces.gateway.pages import Decision
from surfaces.home.learning import LoggedPage
from workloads.simulation.day import instant
from workloads.training.learn_layout import composed_events, logged_pages


def logged(
    world: World,
    visits: Sequence[Served],
    surface: Surface[ShownPage],
    reward: Mapping[str, float],
    items: pa.Table,
    seed: int,
) -> list[LoggedPage]:
    """A log of Home pages, collected from a journal.

    Args:
        world: its listeners respond.
        visits: who comes, each with candidates and scores. One who comes twice counts as two listeners.
        surface: composes the pages.
        reward: weight of each label.
        items: the catalogue (`schema.ITEMS`).
        seed: of all draws.
    """
    made = [
        decision(one, one.page(surface, f"log-{seed}-{number}"), f"log-{seed}-{number}")
        for number, one in enumerate(visits)
    ]
    feedback = responses(world, visits, made, seed)
    with TemporaryDirectory(prefix="segue-log-") as folder:
        journal = Journal(SqliteKeeping(Path(folder) / "journal.db"))
        try:
            written = [journal.append(exposures(one)) for one in made]
            for future in [*written, journal.record(feedback)]:
                future.result()
            collect(journal, Path(folder) / "data", items)
        finally:
            journal.close()
        tables = load(Path(folder) / "data")
        return logged_pages(composed_events(tables.events_files), tables.items, reward)


def decision(one: Served, page: ShownPage, request_id: str) -> Decision:
    """A page as the gateway keeps it. The request's id names the listener too: who comes twice is two listeners."""
    request = one.answer.context.request
    versions = dict(one.answer.context.versions.versions)
    return Decision(request_id, request_id, request_id, request.at, "home", request.surface, page, versions)


def responses(world: World, visits: Sequence[Served], made: Sequence[Decision], seed: int) -> list[Feedback]:
    """What the listeners do with the pages, and which items were in the viewport.

    Args:
        world: of the listeners.
        visits: who comes, `n`.
        made: what they are shown, `n`.
        seed: of the moods and the responses.
    """
    user, at, surface, day = np.array([
        (one.moment.user, one.moment.at, one.moment.surface, one.moment.day) for one in visits
    ]).T  # fmt: skip
    rows: list[Rows] = [rows_of(world, one.page) for one in made]
    chances = mood_chances(world.listener_traits.moods[user], hour_of(at)).cumsum(axis=1)
    draws = np.random.default_rng(seed).random((len(user), 1))
    mood = (chances <= draws * chances[:, -1:]).sum(axis=1)
    told: list[Feedback] = []
    for today in np.unique(day).tolist():
        of_day = np.flatnonzero(day == today)
        pages = Pages.of(user[of_day], at[of_day], surface[of_day], [rows[n] for n in of_day.tolist()])
        done = respond(world.day(today), seed, of_day, mood[of_day], at[of_day], pages)
        acted = actions(done, world.day(today).lost(pages))
        kept = acted.action != DISLIKE
        page, slot = np.nonzero(done.examined)
        seen = (page, slot, np.full(len(page), IMPRESSION), at[of_day][page], np.full(len(page), -1))
        did = (column[kept] for column in (acted.page, acted.slot, acted.action, acted.ts, acted.ms))
        events = np.concatenate([np.stack(seen), np.stack(list(did))], axis=1)  # [5, events]
        for page_number, slot_number, code, ts, ms in events.T.tolist():
            request_id = made[of_day[page_number]].request_id
            action = schema.ACTIONS[code]
            told.append(
                Feedback(
                    event_id=f"{request_id}:{slot_number}:{action}",
                    request_id=request_id,
                    user_id=request_id,
                    session_id=request_id,
                    item_id=world.item_ids[pages.item[page_number, slot_number]],
                    action=action,
                    ms_played=ms if ms >= 0 else None,
                    ts=instant(ts),
                )
            )
    return told
