"""The gateway put together from the folders of a home."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from events.journal.journal import Journal
from segue.errors import SegueError, UnavailableError
from segue.settings import Home
from serving.client.async_client import AsyncClient
from serving.client.connection import TLS
from serving.rollouts.kept_counts import counts_keeping
from serving.rollouts.kept_state import state_keeping
from serving.store.split import split_of
from surfaces.arms.assigned import Experiments, experiments_stamp
from surfaces.catalogue import Catalogue
from surfaces.cohorts.follow_split import follow_split
from surfaces.engine.path import Deadlines, Path
from surfaces.follow import (
    BRING_SECONDS,
    Stamp,
    catalogue_stamp,
    follow,
    follow_forgotten,
    policy_stamp,
    read_warm,
    repeat,
)
from surfaces.gateway.gateway import Gateway
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.home.serving_policy import serving_policy
from surfaces.home.surface import home_surface
from surfaces.hydrate import Hydrator
from surfaces.now_playing.feedback import FeedbackPath
from surfaces.now_playing.sessions import Sessions
from surfaces.now_playing.writers import Writers
from surfaces.request import Exploration
from surfaces.versions import Models

if TYPE_CHECKING:
    from feature_repo.pushes import Interaction, Pusher


@asynccontextmanager
async def open_gateway(
    home: Home,
    server: str,
    journal: Journal,
    clock: Callable[[], datetime],
    off: frozenset[str] = frozenset(),
    deadlines: Deadlines = Deadlines(),
    tls: TLS | None = None,
    bring: Callable[[], None] = lambda: None,
    rules: HomeRules = HomeRules(),
    exploration: Exploration = Exploration(),
) -> AsyncIterator[Gateway]:
    """A gateway that follows the model versions, the catalogue and the layout policy while the body runs.

    A model server, an online store or a journal that does not answer does not keep it from starting.

    Args:
        home: the home whose data, online store, layout policy and experiments it uses.
        server: the address of the model server.
        journal: keeps exposures and events; the caller closes it.
        clock: the current time, UTC.
        off: stages, sources and filters that are switched off.
        deadlines: of the stages.
        tls: the files of an encrypted connection to the model server.
        bring: brings the newest data, models' cards, layout policy and experiments to the home, where others publish
            them.
        rules: the weights and limits of Home pages.
        exploration: of a request that names no budget.

    Raises:
        InputError: nothing was imported, or no run has filled the online store.
    """
    stamps = catalogue_stamp(home), policy_stamp(home)
    catalogue = await asyncio.to_thread(read_warm, home)
    hydrator = Hydrator(home)
    with contextlib.suppress(UnavailableError):
        await asyncio.to_thread(hydrator.open)
    experiments = Experiments()
    known: Stamp = ()
    state, counts = state_keeping(home.models), counts_keeping(home.rollout_counts)
    split_known: Hashable = None
    with contextlib.suppress(SegueError):  # damaged records do not keep the gateway from starting; `follow` logs why
        known, experiments = experiments_stamp(home.experiments), Experiments.running_in(home.experiments)
    with contextlib.suppress(SegueError):  # as above
        stamp = state.stamp()
        split_known, experiments = stamp, replace(experiments, split=split_of(state))
    sessions, writers = Sessions(), Writers(partial(open_pusher, home), partial(uncollected_of, journal, home))
    try:
        async with AsyncClient(server, tls) as client:
            models = Models(client, deadlines.compose)  # no stage waits longer for a call
            models.choices = experiments.choices
            with contextlib.suppress(SegueError):
                await models.refresh(deadlines.sources)
            gateway = Gateway(
                Path(models, hydrator, catalogue, deadlines, off, experiments),
                home_surface(serving_policy(home), rules),
                journal,
                sessions,
                FeedbackPath(sessions, writers),
                clock,
                exploration,
            )

            def use_catalogue(newer: Catalogue) -> None:
                gateway.path.catalogue = newer

            def use_policy(newer: LayoutPolicy) -> None:
                gateway.home_surface = home_surface(newer, rules)

            def use_experiments(newer: Experiments) -> None:
                gateway.path.experiments = replace(newer, split=gateway.path.experiments.split)
                models.choices = gateway.path.experiments.choices

            await gateway.dislikes.look(journal.keeping)  # they hold from the first request

            following = [
                asyncio.create_task(one)
                for one in (
                    models.follow(),
                    repeat("data, policy and experiments", bring, BRING_SECONDS),
                    follow_forgotten(journal.keeping, gateway.forget),
                    gateway.dislikes.follow(journal.keeping),
                    follow_split(state, gateway.path, split_known),
                    gateway.metrics.cohorts.keep(counts),
                    gateway.shadow.work(),
                    follow(
                        "catalogue", partial(catalogue_stamp, home), stamps[0], partial(read_warm, home), use_catalogue
                    ),
                    follow(
                        "experiments",
                        partial(experiments_stamp, home.experiments),
                        known,
                        partial(Experiments.running_in, home.experiments),
                        use_experiments,
                    ),
                    follow(
                        "layout policy",
                        partial(policy_stamp, home),
                        stamps[1],
                        partial(serving_policy, home),
                        use_policy,
                    ),
                )
            ]
            try:
                yield gateway
            finally:
                for task in following:
                    task.cancel()
                await gateway.metrics.cohorts.write(counts)
    finally:
        state.close()
        counts.close()
        hydrator.close()
        await asyncio.to_thread(writers.close)


def open_pusher(home: Home) -> "Pusher":
    """A pusher to the online store of a home, with a store of its own: each writer's thread has one."""
    from feature_repo.feast_store import open_store
    from feature_repo.pushes import Pusher

    return Pusher(open_store(home))


def uncollected_of(journal: Journal, home: Home) -> "Iterator[Interaction]":
    """The journal's interactions that may not be online. Feast is imported when they are asked for."""
    from feature_repo.online import state, uncollected

    return uncollected(journal.keeping, state(home))
