"""The quality of Home, Now Playing and new releases, judged by the listeners of a synthetic world, in one run.

Models are trained on the log of a world of version 2 by the training pipeline. The stages of the gateway then make
pages for moments of the week after the log, and the world says what the pages are truly worth. The layout policy is
learned before that, from pages of other moments that were collected from a journal. Next items are predicted in the
test span of the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.results import Say, machine
from benchmarks.surfaces import next_item
from benchmarks.surfaces.quality import diversity, home_value, layout_estimates, new_release_value, skip_reaction
from benchmarks.surfaces.quality.journal_logs import logged
from benchmarks.surfaces.quality.served_pages import Served, serve
from events import dataset
from events.importers.synthetic import generate, sized
from events.world.day import HOME
from events.world.live.value import PLAY_REWARD, Expected, contexts
from events.world.live.value import Context as Moment
from events.world.live.world import World
from models.training_config import TrainingConfig
from pipelines.runner import run_locally
from segue.errors import SegueError
from segue.settings import Home
from serving.store.model_store import stable
from surfaces.assembly import Quiet, model_server
from surfaces.home.layout import LayoutPolicy
from surfaces.home.rules import HomeRules
from surfaces.home.surface import home_surface
from surfaces.new_releases import NEW_RELEASES
from surfaces.request import Exploration
from workloads.simulation.plan import world_of
from workloads.training.learn_layout import learned

# Budgets that keep the training within minutes on two cores; the epochs bind there.
BUDGETS = {
    "retrieval": {"epochs": 5, "minutes": 2.0},
    "ranking": {"epochs": 3, "minutes": 2.0},
    "sequence": {"dim": 32, "blocks": 1, "epochs": 16, "minutes": 3.0},
}
WORLD = "demo"
DAYS = 7  # after the log
RELEASES = 10  # items of a list of new releases


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Args:
        moments: at which a Home page is valued; as many others are learned from.
        sessions: whose skips are measured.
        logs: for the coverage of the estimates.
        pages: of each log.
        predicted: the first sessions of the test span whose plays are predicted; None for all.
    """

    moments: int = 1200
    sessions: int = 200
    logs: int = 100
    pages: int = layout_estimates.PAGES
    predicted: int | None = None


def run(home: Home, started: datetime, say: Say, quiet: Quiet, seed: int = 0) -> dict[str, Any]:
    """Measure the surfaces of a home whose models know a world; without such a home, train one.

    Args:
        home: if it has the log of a world of version 2 and pushed models, they are measured. Otherwise it is left as it
            is, and models are trained on the world `demo` in a temporary home.
        started: the time of the start, which names the training run.
        say: prints a line of progress.
        quiet: a context in which TensorFlow is loaded, to hold back what it prints.
        seed: of the world that is trained on, of the moments and of all draws.

    Returns:
        What `measured` returns.

    Raises:
        SegueError: the trained models were not pushed.
    """
    if (home.data / dataset.MANIFEST).is_file() and stable(home.models):
        manifest = dataset.load(home.data).manifest
        if manifest.get("world"):
            return measured(home, world_of(manifest), Size(), say, quiet, seed)
    config = sized(WORLD, version=2)
    with TemporaryDirectory(prefix="segue-bench-") as folder:
        home = Home(Path(folder))
        dataset.write(home.data, generate(config, seed))
        settings = TrainingConfig.from_dict(BUDGETS).to_dict()
        ended = run_locally(home, "training", settings, started, lambda record: None, say)
        if ended["status"] != "pushed":
            raise SegueError(f"The benchmark measures pushed models. The run ended with {ended}.", "Run it again.")
        return measured(home, World.build(config, seed), Size(), say, quiet, seed)


def measured(home: Home, world: World, size: Size, say: Say, quiet: Quiet, seed: int) -> dict[str, Any]:
    """Measure the surfaces of a home whose models know a world.

    Args:
        home: with the world's log, pushed models and an online store.
        world: of version 2.
        size: how much is measured.
        say: prints a line of progress.
        quiet: as in `run`.
        seed: of all that is drawn.

    Returns:
        `world`; `layout`: what was learned from the collected pages; `home`, `new_releases`, `skips`, `diversity`,
        `estimates` and `next`: see the modules of these parts; `targets` of all; `machine`.
    """
    weights = TrainingConfig().ranking.reward
    surface, days = home_surface(LayoutPolicy(), HomeRules()), range(world.config.days, world.config.days + DAYS)
    tables = dataset.load(home.data)
    with model_server(None, home.models, quiet) as server:

        def pages_at(moments: list[Moment]) -> list[Served]:
            return serve(home, server, world, moments, surface, Exploration())

        to_learn = pages_at(contexts(world, days, HOME, size.moments, seed + 1))
        say(f"{len(to_learn):,} pages to learn the layout from")
        policy, verdict = learned(logged(world, to_learn, surface, weights, tables.items, seed), LayoutPolicy())
        served = pages_at(contexts(world, days, HOME, size.moments, seed + 2))
        say(f"{len(served):,} pages to value")
        releases = serve(home, server, world, [one.moment for one in served], NEW_RELEASES, k=RELEASES)
        sessions = [one.moment for one in one_a_listener(served)[: size.sessions]]
        parts = {
            "home": home_value.run(world, served, policy if verdict.passed else LayoutPolicy(), PLAY_REWARD, seed),
            "new_releases": new_release_value.run(world, releases, RELEASES, seed),
            "skips": skip_reaction.run(home, server, world, sessions, seed),
            "diversity": diversity.run(served),
        }
    say("pages, new releases and skips are measured")
    parts["next"] = next_item.run(home, say, seed, size.predicted)
    parts["estimates"] = layout_estimates.run(
        world, one_a_listener([*served, *to_learn]), outcomes(weights), tables.items, size.logs, seed, say, size.pages
    )
    targets = {name: one for part in parts.values() for name, one in part.pop("targets").items()}
    return {
        "world": world.config.name,
        "layout": verdict.to_dict(),
        **parts,
        "targets": targets,
        "machine": machine("tensorflow"),
    }


def outcomes(reward: Mapping[str, float]) -> dict[str, float]:
    """The weights of the outcomes whose probability the world knows, of the ranking model's reward."""
    return {name: weight for name, weight in reward.items() if name in Expected.__dataclass_fields__ and weight}


def one_a_listener(served: list[Served]) -> list[Served]:
    """The first request of each listener."""
    listeners = np.array([one.moment.user for one in served])
    return [served[n] for n in np.sort(np.unique(listeners, return_index=True)[1]).tolist()]
