"""What two skips of a genre leave of its share of the next five items."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from benchmarks.results import target
from events import schema
from events.world.live.value import Context as Moment
from events.world.live.world import World
from models.evaluation.metrics import bootstrap_mean
from segue.settings import Home
from serving.client.async_client import AsyncClient
from surfaces.catalogue import Catalogue
from surfaces.engine.path import PATIENT, Path
from surfaces.hydrate import Hydrator, UnknownListenerError
from surfaces.now_playing.answer import NowPlaying, Steps
from surfaces.now_playing.sessions import Sessions
from surfaces.now_playing.state import Action, take
from surfaces.read_catalogue import read_catalogue
from surfaces.request import Request
from surfaces.versions import Models
from workloads.simulation.day import instant

NEXT = 5
SKIPS = 2
MOST_LEFT = 0.5  # of the share


def run(home: Home, server: str, world: World, moments: Sequence[Moment], seed: int) -> dict[str, Any]:
    """Skip two items of the genre that a session is given most, and ask for the next five again.

    The genre is the most frequent one of one draw. Its share before the skips is that of another draw, because the most
    frequent genre of a draw has more than its share there.

    Args:
        home: with models and an online store.
        server: the address of its model server.
        world: names the listeners.
        moments: of the sessions, each of another listener.
        seed: of the interval.

    Returns:
        `listeners` whose first draw has two items of one genre; the mean shares `before` and `after`; `left`, their
        ratio; `halved`, the share of the listeners with at most half; `above_half`, the mean of the share after less
        half of the share before, with its interval; `targets`.
    """
    shares = np.array([pair for pair in asyncio.run(asked(home, server, world, moments)) if pair])
    before, after = shares.T
    above = bootstrap_mean(after - MOST_LEFT * before, np.arange(len(shares)), seed)
    return {
        "listeners": len(shares),
        "before": float(before.mean()),
        "after": float(after.mean()),
        "left": float(after.mean() / before.mean()),
        "halved": float((after <= MOST_LEFT * before).mean()),
        "above_half": {"mean": above.mean, "low": above.low, "high": above.high},
        "targets": {"two_skips_halve_a_genre": target(above.high, at_most=0.0)},
    }


async def asked(home: Home, server: str, world: World, moments: Sequence[Moment]) -> list[tuple[float, float] | None]:
    """The shares of each listener's genre before and after two skips; None without two items of a genre."""
    hydrator, catalogue = Hydrator(home), read_catalogue(home)
    try:
        async with AsyncClient(server) as client:
            models = Models(client)
            await models.refresh()
            now_playing = NowPlaying(Path(models, hydrator, catalogue, PATIENT), Sessions())
            return [
                await before_and_after(now_playing, catalogue, world.user_ids[moment.user], f"skips-{number}", moment)
                for number, moment in enumerate(moments)
            ]
    finally:
        hydrator.close()


async def before_and_after(
    now_playing: NowPlaying, catalogue: Catalogue, user_id: str, name: str, moment: Moment
) -> tuple[float, float] | None:
    """The shares of the most frequent genre in the next five, before and after two of its items were skipped."""

    async def five(session_id: str, draw: str, seconds: int) -> list[str]:
        at = instant(moment.at) + timedelta(seconds=seconds)
        request = Request(user_id, at, "now_playing", k=NEXT, session_id=session_id, request_id=f"{name}-{draw}")
        answer = await now_playing.answer(session_id, request, Steps())
        return [item.item_id for item in answer.page.items[:NEXT]]

    try:
        first = await five(f"{name}-a", "a", 0)
    except UnknownListenerError:  # has just signed up
        return None
    genres = genre_counts(catalogue, first)
    if not genres:
        return None
    genre = min(genres, key=lambda one: (-genres[one], one))
    skipped = [item for item in first if genre in genre_counts(catalogue, [item])][:SKIPS]
    if len(skipped) < SKIPS:
        return None
    before = await five(f"{name}-b", "b", 0)
    for place, item in enumerate(skipped, 1):
        action = Action(f"{name}-{place}", item, schema.SKIP, instant(moment.at) + timedelta(seconds=place))
        now_playing.sessions.change(f"{name}-a", user_id, partial(take, action=action))
    after = await five(f"{name}-a", "c", SKIPS + 1)
    return genre_counts(catalogue, before)[genre] / NEXT, genre_counts(catalogue, after)[genre] / NEXT


def genre_counts(catalogue: Catalogue, item_ids: Sequence[str]) -> Counter[str]:
    """How many of some items have each genre."""
    return Counter(name for item in item_ids for name in catalogue.genres[catalogue.index[item]])
