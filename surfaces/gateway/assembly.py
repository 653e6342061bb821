"""The gateway put together from the folders of a home."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from events.journal.journal import Journal
from segue.errors import SegueError, UnavailableError
from segue.settings import Home
from serving.client.async_client import AsyncClient
from serving.client.connection import TLS
from surfaces.engine.path import Deadlines, Path
from surfaces.gateway.gateway import Gateway
from surfaces.home.rules import HomeRules
from surfaces.home.serving_policy import serving_policy
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

log = logging.getLogger(__name__)

POLICY_SECONDS = 1.0  # between two looks at the file of the layout policy


@asynccontextmanager
async def open_gateway(
    home: Home,
    server: str,
    journal: Journal,
    clock: Callable[[], datetime],
    off: frozenset[str] = frozenset(),
    deadlines: Deadlines = Deadlines(),
    tls: TLS | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway that follows the model versions while the body runs.

    A model server or an online store that does not answer does not keep it from starting.

    Args:
        home: the home whose data, online store and layout policy it uses.
        server: the address of the model server.
        journal: keeps exposures and events; the caller closes it.
        clock: the current time, UTC.
        off: stages, sources and filters that are switched off.
        deadlines: of the stages.
        tls: the files of an encrypted connection to the model server.

    Raises:
        InputError: nothing was imported, or no run has filled the online store.
    """
    catalogue = await asyncio.to_thread(read_catalogue, home)
    hydrator = Hydrator(home)
    with contextlib.suppress(UnavailableError):
        await asyncio.to_thread(hydrator.open)
        await asyncio.to_thread(catch_up, home, journal)
    sessions, writers = Sessions(), Writers(partial(open_pusher, home))
    try:
        async with AsyncClient(server, tls) as client:
            models = Models(client)
            with contextlib.suppress(SegueError):
                await models.refresh(deadlines.sources)
            gateway = Gateway(
                Path(models, hydrator, catalogue, deadlines, off),
                home_surface(serving_policy(home), HomeRules()),
                journal,
                sessions,
                FeedbackPath(sessions, writers),
                clock,
                Exploration(),
            )
            following = [asyncio.create_task(models.follow()), asyncio.create_task(follow_policy(gateway, home))]
            try:
                yield gateway
            finally:
                for task in following:
                    task.cancel()
    finally:
        hydrator.close()
        await asyncio.to_thread(writers.close)


async def follow_policy(gateway: Gateway, home: Home) -> None:
    """Serve the layout policy that the training pipeline pushes, for ever; a broken file leaves the last one."""
    before = changed_at(home.layout_policy)
    while True:
        await asyncio.sleep(POLICY_SECONDS)
        now = changed_at(home.layout_policy)
        if now != before:
            before = now
            try:
                gateway.home_surface = home_surface(serving_policy(home), HomeRules())
            except SegueError as error:
                log.error("the layout policy stays as it was: %s", error)


def changed_at(path: FilePath) -> int:
    """When a file was written, in nanoseconds; 0 without a file."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def catch_up(home: Home, journal: Journal) -> None:
    """Push what the journal has and a gateway before this one did not bring online any more."""
    from feature_repo.feast_store import open_store
    from feature_repo.online import push_uncollected, state

    if pushed := push_uncollected(open_store(home), journal.keeping, state(home)):
        log.warning("%d interactions of the journal are online now", pushed)


def open_pusher(home: Home) -> "Pusher":
    """A pusher to the online store of a home, with a store of its own: each writer's thread has one."""
    from feature_repo.feast_store import open_store
    from feature_repo.pushes import Pusher

    return Pusher(open_store(home))
