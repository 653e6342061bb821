"""`segue data`: import an event log, and describe what was imported."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import json_option, print_json, print_table
from segue.clock import utc_now
from segue.settings import Home

if TYPE_CHECKING:
    from events.imported import Imported

RECENT = 8  # number of a listener's interactions that are shown
AHEAD = timedelta(days=1)  # an event may lie this far in the future, because clocks differ


@click.group()
def data() -> None:
    """Import an event log and describe what was imported."""


@data.group(name="import")
def import_() -> None:
    """Import a data set, which replaces the imported one."""


@import_.command()
@click.option("--size", default="nano", show_default=True, help="nano, demo, small or large.")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="One seed, one world.",
)
@click.option("--drift", help="What changes: genre, catalogue, outage or behaviour.")
@click.option("--drift-day", type=int, help="The day from which it changes; the first day is 0.")
@json_option
def synthetic(size: str, seed: int, drift: str | None, drift_day: int | None, as_json: bool) -> None:
    """Generate a synthetic world of listeners, with impressions, outcomes and propensities."""
    from events.importers.synthetic import generate, sized

    store_and_show(generate(sized(size, drift, drift_day), seed), None, as_json)


@import_.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def movielens(folder: Path, as_json: bool) -> None:
    """Import MovieLens 100K, 1M or latest from its FOLDER."""
    from events.importers.movielens import read

    store_and_show(read(folder), utc_now() + AHEAD, as_json)


@import_.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def lastfm(folder: Path, as_json: bool) -> None:
    """Import Last.fm 2K (HetRec 2011) from its FOLDER."""
    from events.importers.lastfm import read

    store_and_show(read(folder), utc_now() + AHEAD, as_json)


@import_.command()
@click.option(
    "--events", required=True, type=click.Path(path_type=Path), help=".parquet, .csv, or a folder of Parquet."
)
@click.option(
    "--items", type=click.Path(path_type=Path), help="A table of items.  [default: the item ids of the events]"
)
@click.option(
    "--users", type=click.Path(path_type=Path), help="A table of users.  [default: the user ids of the events]"
)
@click.option(
    "--map", "pairs", multiple=True, metavar="OURS=THEIRS", help="Read our column OURS from the column THEIRS."
)
@json_option
def parquet(events: Path, items: Path | None, users: Path | None, pairs: tuple[str, ...], as_json: bool) -> None:
    """Import a log of your own from Parquet or CSV."""
    from events.importers.tabular import read

    store_and_show(read(events, items, users, mapping_of(pairs)), utc_now() + AHEAD, as_json)


@data.command()
@click.option("--user", help="Show the last interactions of this listener instead of the figures.")
@json_option
def describe(user: str | None, as_json: bool) -> None:
    """Show figures of the imported data set, or the last interactions of one listener."""
    from events import describe

    if user:
        show_listener(user, describe.recent_interactions(Home.from_env().data, user, RECENT), as_json)
        return
    result = describe.describe(Home.from_env().data)
    if as_json:
        print_json(result)
        return
    show(result)
    print_table("Surfaces", ("surface", "events"), result["surfaces"].items())
    print_table("Content", ("type", "items"), result["content_types"].items())
    active = result["active"]
    click.echo(f"Active: {active['users']:,} users and {active['items']:,} items; density {result['density']:.5f}.")


@data.command()
@click.argument("user")
@json_option
def forget(user: str, as_json: bool) -> None:
    """Delete the listener USER from the log, the feature tables and the online store, and say what remains."""
    from feature_repo.forget import forget

    result = forget(Home.from_env(), user, utc_now())
    if as_json:
        print_json(result)
        return
    rows = ", ".join(f"{count:,} of {table}" for table, count in result["deleted"].items())
    click.echo(f"Deleted {user}: {rows}; online: {'yes' if result['online'] else 'was not there'}.")
    for line in result["remains"]:
        click.echo(f"Remains: {line}")


def show_listener(user: str, interactions: list[dict[str, Any]], as_json: bool) -> None:
    """Print a listener's newest interactions."""
    if as_json:
        print_json({"user": user, "interactions": interactions})
        return
    rows = [
        (f"{row['ts']:%Y-%m-%d %H:%M}", row["action"], row["title"], row["creator"], ", ".join(row["genres"] or []))
        for row in interactions
    ]
    print_table(f"What {user} did last", ("when (UTC)", "action", "title", "creator", "genres"), rows)


def mapping_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """Parse the values of --map: `("ts=time",)` becomes `{"ts": "time"}`."""
    for pair in pairs:
        if not all(pair.partition("=")):
            raise click.BadParameter(f"{pair!r} is not OURS=THEIRS, such as ts=time.", param_hint="--map")
    repeated = [ours for ours, count in Counter(pair.partition("=")[0] for pair in pairs).items() if count > 1]
    if repeated:
        raise click.BadParameter(f"{repeated[0]!r} is mapped twice.", param_hint="--map")
    return {ours: theirs for ours, _, theirs in (pair.partition("=") for pair in pairs)}


def store_and_show(imported: "Imported", latest: datetime | None, as_json: bool) -> None:
    """Write an imported data set into the home and print its manifest."""
    from events.dataset import write

    manifest = write(Home.from_env().data, imported, latest)
    if as_json:
        print_json(manifest)
    else:
        show(manifest)


def show(manifest: dict[str, Any]) -> None:
    """Print a manifest as tables."""
    counts, span = manifest["counts"], manifest["span"]
    rows = [(name, f"{count:,}") for name, count in counts.items()]
    rows += [(f"  {action}", f"{count:,}") for action, count in manifest["actions"].items()]
    print_table(f"Imported: {manifest['dataset']}", ("what", "count"), rows)
    click.echo(f"Span: {span['first']} .. {span['last']}")
    for line in manifest["mapping"]:
        click.echo(f"Mapped: {line}")
    for reason, count in manifest["quarantine_reasons"].items():
        click.echo(f"Quarantined: {count:,} x {reason}")
