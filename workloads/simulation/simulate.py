"""Simulate days: serve, collect, train, and go on. Everything but the listeners and the clock is real.

The state says which days are done; a killed simulation goes on with the day that it was at. Each step may be done
twice: items that were added are updated, pages and events that were sent count once, a journal is collected once, and
what the loop did is written as it happens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events import dataset
from events.imported import Imported
from events.journal.collect import collect_home
from events.journal.journal import open_journal
from events.world.day import DAY, HOME
from events.world.live.value import contexts
from events.world.live.world import World
from experiments.registry import Registry
from feature_repo.feast_store import open_store
from segue.errors import InputError
from segue.files import atomic_path, read_json, write_json, write_text
from segue.settings import Home
from serving.store import model_store
from serving.store.split import read_split
from stores import parts
from stores.settings import Settings
from workloads.monitoring.refresh import refresh_features
from workloads.simulation import chart, servers
from workloads.simulation.actions import Action, Actions
from workloads.simulation.arms import worth
from workloads.simulation.check import compared, compared_exposures
from workloads.simulation.day import instant, replayed, serve
from workloads.simulation.features import compared_features
from workloads.simulation.figures import figures
from workloads.simulation.gateway import Gateway
from workloads.simulation.plan import STATE, Plan, begun
from workloads.simulation.rivals.first import first_home, keep_first
from workloads.simulation.rivals.gain import Quiet, gain, gain_sentence
from workloads.simulation.rivals.recovery import won_back, won_sentence
from workloads.simulation.rivals.sites import Site, sites_of, with_sites
from workloads.simulation.rivals.values import Rival, true_values
from workloads.simulation.served import Record

Say = Callable[[str], None]
Steer = Callable[[Actions, list[str], datetime], None]
Release = Callable[[Home, Path, datetime], None]

KEEP = timedelta(days=7)  # of collected records in the journal
MOMENTS, SEED = 100, 0  # of a day, in which the loop and its rivals are compared


def simulate(
    home: Home, settings: Settings, plan: Plan, release: Release, steer: Steer, say: Say, quiet: Quiet,
    beside: Sequence[Path] = (),
) -> dict[str, Any]:  # fmt: skip
    """Simulate days after the log, and write the chart.

    Args:
        home: The home, with a world of version 2, pushed models and online features.
        settings: Say where the journal is.
        plan: What the simulation is to be.
        release: Adds the items of a file to the models of a home at an instant.
        steer: Steers the loop after a day, and adds what it does to the actions of the day. It also takes the kinds of
            all earlier actions, and the end of the day.
        say: Prints a line of progress.
        quiet: A context that holds back what libraries print.
        beside: Homes that have simulated the same days with another loop, for the comparison.

    Returns:
        `world`, the planted `drift` and the `days` (see `figures`, `collected`, `exposures`, `features`, `arms`,
        `policies` and `actions`); what the loop `won_back` of the loss to the drift, or None; the `gain` of the last
        models over the first, or None; `worth`, both in sentences; and the paths `chart` and `page`.

    Raises:
        InputError: The data set is no world that goes on, nothing is served, the simulation is another one, or a
            home beside it has not simulated its days.
        UnavailableError: A server does not answer.
    """
    manifest = dataset.load(home.data).manifest
    if not model_store.stable(home.models):
        raise InputError("A simulation is served by pushed models. There are none.", "Run `segue run training` first.")
    state, world = begun(home.simulation, manifest, plan)
    state_file = home.simulation / STATE
    sites = sites_of(state, beside, max(plan.days, len(state["days"])))
    home.simulation.mkdir(exist_ok=True)
    write_json(state_file, state)
    if not state["days"]:
        keep_first(home)
    if len(state["days"]) < plan.days or not judged(state):
        with rivals_of(home) as rivals:
            for day in range(world.config.days + len(state["days"]), world.config.days + plan.days):
                result = one_day(home, settings, world, day, release, rivals, say, quiet)
                end = instant((day + 1) * DAY)
                actions = Actions(home.simulation / "actions.json", len(state["days"]) + 1, partial(told, say, end))
                steer(actions, [action["kind"] for each in state["days"] for action in each["actions"]], end)
                result["actions"] = actions.done
                state["days"].append(result)
                state["gain"] = None  # of fewer days
                write_json(state_file, state)
            if not judged(state):
                say("comparing the last models with the first")
                state["gain"] = gain(home, world, world.config.days + len(state["days"]), rivals, quiet)
                write_json(state_file, state)
    return summary(home, f"{manifest['dataset']}, seed {world.seed}", state, sites)


def told(say: Say, at: datetime, action: Action) -> None:
    """Say what the loop did."""
    say(f"{at:%Y-%m-%d}: {action['kind']}. {action['reason']}")


def judged(state: dict[str, Any]) -> bool:
    """Return whether the state has what the trainings of its days were worth, or there were none."""
    return bool(state.get("gain")) or not any("pushed" in chart.marks(day) for day in state["days"])


@contextmanager
def rivals_of(home: Home) -> Iterator[dict[str, Rival]]:
    """Serve the models of the loop and the first ones while the body runs."""
    first, logs = first_home(home), home.simulation
    with (
        servers.model_server(home, logs / "model-server.log") as own,
        servers.model_server(first, logs / "first-server.log") as other,
    ):
        yield {"loop": Rival(home, own), "frozen": Rival(first, other)}


def summary(home: Home, name: str, state: dict[str, Any], sites: Sequence[Site]) -> dict[str, Any]:
    """Write the chart, the page and the figures of a simulation, and return what `simulate` returns."""
    days = with_sites(state["days"], sites)
    picture, page, figures = (home.simulation / f"simulation.{ending}" for ending in ("png", "html", "json"))
    idle = next((site.name for site in sites if site.idle), None)
    won = won_back(days, state["drift"], idle or "frozen")
    found = [won_sentence(won)] if won else []
    found.append(gain_sentence(state["gain"]) if state.get("gain") else "No models were trained and pushed.")
    worth = " ".join(found)
    names = [site.name for site in sites]
    image = chart.picture(days, state["drift"], names)
    with atomic_path(picture) as temporary:
        temporary.write_bytes(image)
    write_text(page, chart.page(name, days, image, worth, names))
    result = {"world": name, "drift": state["drift"], "days": days, "gain": state.get("gain"), "won_back": won}
    write_json(figures, result)
    return {**result, "worth": worth, "chart": str(picture), "page": str(page)}


def one_day(
    home: Home, settings: Settings, world: World, day: int, release: Release, rivals: Mapping[str, Rival], say: Say,
    quiet: Quiet,
) -> dict[str, Any]:  # fmt: skip
    """Begin a day, let it happen over a gateway, collect its journal, and return its figures."""
    record, begun_file = Record.open(home.simulation / f"day-{day:04d}.jsonl"), home.simulation / "begun.json"
    if not record.pages:
        begin(home, world, day, release, say, quiet)
        with quiet():
            refresh_features(home, instant(day * DAY))
        write_json(begun_file, {"policies": policies(home, world, day, rivals)})
    with servers.gateway(home, rivals["loop"].server) as address:
        gateway = Gateway(address, open_store(home))
        try:
            serve(world, day, gateway, record)
        finally:
            gateway.close()
    moments = replayed(world, day, record)
    result = figures(world, day, moments) | read_json(begun_file)
    with closing(open_journal(home, settings)) as journal:
        collect_home(journal, home, instant((day + 1) * DAY), KEEP)
        events = dataset.load(home.data).events()
        result["collected"] = compared(moments, events)
        result["arms"] = worth(world, day, moments, events, Registry(home.experiments).running())
        result["exposures"] = compared_exposures(moments, events, journal.exposures)
    with quiet():
        result["features"] = compared_features(home, instant(day * DAY), instant((day + 1) * DAY))
    rewards = ", ".join(f"{name} {value:.3f}" for name, value in result["policies"].items())
    say(f"{result['date']}: {result['pages']} pages; true reward of Home: {rewards}")
    return result


def policies(home: Home, world: World, day: int, rivals: Mapping[str, Rival]) -> dict[str, float]:
    """Return the mean true reward of Home by the loop, its rivals and the oracle, in the same moments of a day that is
    about to begin. In a roll-out the loop's is that of the stable models and the candidate, by their shares."""
    moments = contexts(world, [day], HOME, MOMENTS, SEED)
    split = read_split(home.models)
    share = split.share if split else 0.0
    tried = {"candidate": replace(rivals["loop"], candidate=split.candidate)} if split and share else {}
    means = {
        name: float(value.mean()) for name, value in true_values(home, world, moments, {**rivals, **tried}).items()
    }
    means["loop"] = (1 - share) * means["loop"] + share * means.pop("candidate", 0.0)
    return means


def begin(home: Home, world: World, day: int, release: Release, say: Say, quiet: Quiet) -> None:
    """Bring the day's releases and sign-ups into the data set, which is complete until now, and the releases into
    the served models and the first ones."""
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
        with TemporaryDirectory(prefix="segue-releases-") as folder, quiet():
            file = Path(folder) / "items.parquet"
            pq.write_table(released, file)
            for served in (home, first_home(home)):
                release(served, file, instant(day * DAY))
    say(f"{instant(day * DAY):%Y-%m-%d}: {released.num_rows} items released, {joined.num_rows} listeners signed up")
