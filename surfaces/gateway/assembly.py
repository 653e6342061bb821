"""The gateway put together from the folders of a home."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from events.journal.journal import open_journal
from segue.errors import SegueError, UnavailableError
from segue.settings import Home
from serving.client.async_client import AsyncClient
from stores.settings import settings
from surfaces.engine.path import Deadlines, Path
from surfaces.gateway.gateway import Gateway
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.home.surface import home_surface
from surfaces.hydrate import Hydrator
from surfaces.now_playing.feedback import FeedbackPath
from surfaces.now_playing.sessions import Sessions
from surfaces.now_playing.writers import Writers
from surfaces.read_catalogue import read_catalogue
from surfaces.request import Exploration
from surfaces.versions import Models

if TYPE_CHECKING:
    from feature_repo.pushes import Pusher


@asynccontextmanager
async def open_gateway(
    home: Home,
    server: str,
    clock: Callable[[], datetime],
    off: frozenset[str] = frozenset(),
    deadlines: Deadlines = Deadlines(),
) -> AsyncIterator[Gateway]:
    """A gateway that follows the model versions while the body runs.

    A model server or an online store that does not answer does not keep it from starting.

    Args:
        home: the home whose data, online store and journal it uses.
        server: the address of the model server.
        clock: the current time, UTC.
        off: stages, sources and filters that are switched off.
        deadlines: of the stages.

    Raises:
        InputError: nothing was imported, or no run has filled the online store.
    """
    catalogue = await asyncio.to_thread(read_catalogue, home)
    hydrator = Hydrator(home)
    with contextlib.suppress(UnavailableError):
        await asyncio.to_thread(hydrator.open)
    journal = open_journal(home, settings())
    sessions, writers = Sessions(), Writers(partial(open_pusher, home))
    try:
        async with AsyncClient(server) as client:
            models = Models(client)
            with contextlib.suppress(SegueError):
                await models.refresh(deadlines.sources)
            following = asyncio.create_task(models.follow())
            try:
                yield Gateway(
                    Path(models, hydrator, catalogue, deadlines, off),
                    home_surface(LayoutPolicy(), HomeRules()),
                    journal,
                    sessions,
                    FeedbackPath(sessions, writers),
                    clock,
                    Exploration(),
                )
            finally:
                following.cancel()
    finally:
        hydrator.close()
        await asyncio.to_thread(writers.close)
        await asyncio.to_thread(journal.close)


def open_pusher(home: Home) -> "Pusher":
    """A pusher to the online store of a home, with a store of its own: each writer's thread has one."""
    from feature_repo.feast_store import open_store
    from feature_repo.pushes import Pusher

    return Pusher(open_store(home))
