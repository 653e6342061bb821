"""Simulate days: serve, collect, train, and go on. Everything but the listeners and the clock is real.

The state says which days are done; a killed simulation goes on with the day that it was at. Each step may be done
twice: items that were added are updated, pages and events that were sent count once, a journal is collected once.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events import dataset
from events.imported import Imported
from events.importers.own.dialects import Dialect
from events.journal.collect import collect_home
from events.journal.journal import open_journal
from events.world.config import FUTURE_DAYS, WorldConfig
from events.world.day import DAY
from events.world.live.world import World
from feature_repo.feast_store import open_store
from segue.errors import InputError
from segue.files import atomic_path, read_json, write_json, write_text
from segue.settings import Home
from serving.store import model_store
from stores import parts
from stores.settings import Settings
from workloads.add_items import add_items
from workloads.simulation import chart, servers
from workloads.simulation.arms import worth
from workloads.simulation.check import compared, compared_exposures
from workloads.simulation.day import instant, replayed, serve
from workloads.simulation.features import compared_features, refresh_features
from workloads.simulation.figures import figures
from workloads.simulation.gain import first_home, gain, keep_first, sentence
from workloads.simulation.gateway import Gateway
from workloads.simulation.served import Record

Say = Callable[[str], None]
Train = Callable[[], dict[str, Any]]
Quiet = Callable[[], AbstractContextManager]

KEEP = timedelta(days=7)  # of collected records in the journal


def simulate(
    home: Home, settings: Settings, count: int, every: int, train: Train, say: Say, quiet: Quiet
) -> dict[str, Any]:
    """Simulate days after the log, up to `count` of them, and write the chart.

    Args:
        home: The home, with a world of version 2, pushed models and online features.
        settings: Say where the journal is.
        count: How many days there are in the end; those of an earlier call count.
        every: Train after so many days.
        train: Trains on the imported data, and pushes the models if they pass.
        say: Prints a line of progress.
        quiet: A context in which TensorFlow is loaded, to hold back what it prints.

    Returns:
        `world`, the `days` (see `figures`, `collected`, `exposures`, `features`, `arms` and `training`); the `gain` of
        the last models over the first, or None, and `worth`, the same in a sentence; and the paths `chart` and `page`.

    Raises:
        InputError: The data set is no world that goes on, nothing is served, or the simulation is of another data set.
        UnavailableError: A server does not answer.
    """
    manifest = dataset.load(home.data).manifest
    world, seed = world_of(manifest), manifest["world"]["seed"]
    if not 0 < count <= FUTURE_DAYS:
        raise InputError(
            f"A world goes on for 1 .. {FUTURE_DAYS} days after its log. Received {count}.",
            "Give `--days` in this range.",
        )
    if not model_store.stable(home.models):
        raise InputError("A simulation is served by pushed models. There are none.", "Run `segue run training` first.")
    home.simulation.mkdir(exist_ok=True)
    state_file = home.simulation / "state.json"
    state = read_json(state_file) if state_file.is_file() else {"log": dataset.identity(manifest), "days": []}
    require_same(state, manifest)
    if not state["days"]:
        keep_first(home)
    if len(state["days"]) < count:
        with servers.model_server(home) as server:
            for day in range(world.config.days + len(state["days"]), world.config.days + count):
                done = len(state["days"]) + 1
                result = one_day(home, settings, world, day, server, say, quiet)
                if done % every == 0:
                    say(f"{result['date']}: training on what was served")
                    result["training"] = train()
                state["days"].append(result)
                state["gain"] = None  # of fewer days
                write_json(state_file, state)
    if not state.get("gain") and any(map(chart.pushed, state["days"])) and model_store.stable(first_home(home).models):
        say("comparing the last models with the first")
        next_day = min(world.config.days + len(state["days"]), world.config.horizon - 1)
        state["gain"] = gain(home, world, next_day, quiet)
        write_json(state_file, state)
    name = f"{manifest['dataset']}, seed {seed}"
    worth = sentence(state["gain"]) if state.get("gain") else "No models were trained and pushed."
    image = chart.picture(state["days"])
    with atomic_path(home.simulation / "simulation.png") as temporary:
        temporary.write_bytes(image)
    write_text(home.simulation / "simulation.html", chart.page(name, state["days"], image, worth))
    result = {"world": name, "days": state["days"], "gain": state.get("gain")}
    write_json(home.simulation / "simulation.json", result)
    return {
        **result,
        "worth": worth,
        "chart": str(home.simulation / "simulation.png"),
        "page": str(home.simulation / "simulation.html"),
    }


def one_day(
    home: Home, settings: Settings, world: World, day: int, server: str, say: Say, quiet: Quiet
) -> dict[str, Any]:
    """Begin a day, let it happen over a gateway, collect its journal, and return its figures."""
    record = Record.open(home.simulation / f"day-{day:04d}.jsonl")
    if not record.pages:
        begin(home, world, day, say, quiet)
        with quiet():
            refresh_features(home, instant(day * DAY))
    with servers.gateway(home, server) as address:
        gateway = Gateway(address, open_store(home))
        try:
            serve(world, day, gateway, record)
        finally:
            gateway.close()
    moments = replayed(world, day, record)
    result = figures(world, day, moments)
    with closing(open_journal(home, settings)) as journal:
        collect_home(journal, home, instant((day + 1) * DAY), KEEP)
        events = dataset.load(home.data).events()
        result["collected"] = compared(moments, events)
        result["arms"] = worth(world, day, moments, events)
        result["exposures"] = compared_exposures(moments, events, journal.exposures)
    with quiet():
        result["features"] = compared_features(home, instant(day * DAY), instant((day + 1) * DAY))
    reward, popular = (result[name] or 0 for name in ("reward", "popular_reward"))
    say(f"{result['date']}: {result['pages']} pages, true reward {reward:.3f}, of popular items {popular:.3f}")
    return result


def begin(home: Home, world: World, day: int, say: Say, quiet: Quiet) -> None:
    """Bring the day's releases and sign-ups into the data set, which is complete until now, and the releases into
    the served models."""
    released, joined = world.items_table(day, day), world.users_table(day, day)

    def with_new(tables: dataset.Tables | None) -> Imported:
        assert tables is not None  # the simulation began with it
        items, users = (
            pa.concat_tables([old.filter(pc.invert(pc.is_in(old[key], new[key].combine_chunks()))), new])
            for key, old, new in (("item_id", tables.items, released), ("user_id", tables.users, joined))
        )
        log = dataset.identity(tables.manifest)
        collected = {**tables.manifest.get("collected", {}), "until": instant(day * DAY).isoformat()}
        return dataset.continued(tables, tables.events(), log, items=items, users=users, collected=collected)

    parts.change(home, parts.DATA, lambda: dataset.change(home.data, with_new))
    if released.num_rows:
        with TemporaryDirectory(prefix="segue-releases-") as folder:
            file = Path(folder) / "items.parquet"
            pq.write_table(released, file)
            with quiet():
                for models in (home, first_home(home)):
                    add_items(models, [file], instant(day * DAY), {}, Dialect())
    say(f"{instant(day * DAY):%Y-%m-%d}: {released.num_rows} items released, {joined.num_rows} listeners signed up")


def world_of(manifest: dict[str, Any]) -> World:
    """Return the world of an imported data set.

    Raises:
        InputError: It is no world of version 2.
    """
    told = dict(manifest.get("world") or {})
    if not told:
        raise InputError(
            f"A simulation goes on with an imported world of version 2. The imported log is {manifest['dataset']}.",
            "Run `segue data import synthetic --world 2` and `segue run training` in a home of their own.",
        )
    seed = told.pop("seed")
    return World.build(WorldConfig(**told), seed)


def require_same(state: dict[str, Any], manifest: dict[str, Any]) -> None:
    """Refuse to go on with a simulation of another data set, or of one that was imported again since.

    Raises:
        InputError: It is one.
    """
    if state["log"] != dataset.identity(manifest) or (state["days"] and not manifest.get("collected")):
        raise InputError(
            "A home holds the simulation of one data set. The imported data set is another one, or was imported again.",
            "Simulate in another home: set SEGUE_HOME.",
        )
