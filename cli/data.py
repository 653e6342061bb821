"""`segue data`: import an event log, and describe what was imported."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import json_option, print_json, print_table
from segue.clock import utc_now
from segue.errors import InputError
from segue.settings import Home

if TYPE_CHECKING:
    from events.imported import Imported

RECENT = 8  # number of a listener's interactions that are shown
FILES = 12  # number of files of a table that are listed with their rows
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


def file_options(command: Callable) -> Callable:
    """Add the options that say how to read files."""
    options = (
        click.option(
            "--map",
            "pairs",
            multiple=True,
            metavar="OURS=THEIRS",
            help="Read our column OURS from the column THEIRS: ts=time, in one table events.event_id=id; "
            "or read a value: action.click=play. Repeatable.",
        ),
        click.option("--separator", metavar="TEXT", help="Separator of text files.  [default: told from each file]"),
        click.option("--encoding", metavar="NAME", help="Encoding of text files that are neither UTF-8 nor UTF-16."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@import_.command()
@click.option(
    "--events",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Parquet, CSV or TSV, also as .gz or .zst, or a folder of these. Repeatable.",
)
@click.option(
    "--items",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A table of items; repeatable.  [default: the item ids of the events]",
)
@click.option(
    "--users",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A table of users; repeatable.  [default: the user ids of the events]",
)
@file_options
@json_option
def parquet(
    events: tuple[Path, ...],
    items: tuple[Path, ...],
    users: tuple[Path, ...],
    pairs: tuple[str, ...],
    separator: str | None,
    encoding: str | None,
    as_json: bool,
) -> None:
    """Import a log of your own from Parquet or CSV."""
    from events.importers.own.dialects import Dialect
    from events.importers.tabular import read

    imported = read(events, items, users, mapping_of(pairs), Dialect(separator, encoding))
    store_and_show(imported, utc_now() + AHEAD, as_json)


@data.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@file_options
@json_option
def check(
    files: tuple[Path, ...], pairs: tuple[str, ...], separator: str | None, encoding: str | None, as_json: bool
) -> None:
    """Show what an import of FILES would do, and the command line for it; nothing is stored.

    FILES are the events, and the items and users if there are such tables, in any order.
    """
    from events.importers.own.dialects import Dialect
    from events.importers.own.preview import preview

    report = preview(files, mapping_of(pairs), Dialect(separator, encoding), utc_now() + AHEAD)
    if as_json:
        print_json(report)
    else:
        show_preview(report)
    if report["stops"]:
        raise InputError(f"An import would stop: {report['stops']['headline']}", report["stops"]["fix"])


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


def show_preview(report: dict[str, Any]) -> None:
    """Print what an import would do."""
    rows = [(file["file"], file["table"], file["form"], f"{file['rows']:,}") for file in report["files"]]
    print_table("Files", ("file", "table", "read as", "rows"), rows)
    for line in report["notes"]:
        click.echo(f"Mapped: {line}")
    for table, columns in report["unmatched"].items():
        if columns:
            click.echo(f"Kept as they are: {table}: {', '.join(columns)}")
    for reason, count in report["quarantine_reasons"].items():
        click.echo(f"Quarantined: {count:,} x {reason}")
        for row in report["samples"][reason]:
            values = {name: value for name, value in json.loads(row["record"]).items() if value is not None}
            click.echo(f"  {row['file']}, row {row['row']}: {json.dumps(values, ensure_ascii=False)}")
    if not report["stops"]:
        counts = report["counts"]
        click.echo(f"Would import: {counts['events']:,} events, {counts['items']:,} items, {counts['users']:,} users.")
    click.echo(f"To import: {report['command']}")


def show(manifest: dict[str, Any]) -> None:
    """Print a manifest as tables."""
    counts, span = manifest["counts"], manifest["span"]
    rows = [(name, f"{count:,}") for name, count in counts.items()]
    rows += [(f"  {action}", f"{count:,}") for action, count in manifest["actions"].items()]
    print_table(f"Imported: {manifest['dataset']}", ("what", "count"), rows)
    click.echo(f"Span: {span['first']} .. {span['last']}")
    for table, files in manifest["files"].items():
        for file, count in list(files.items())[:FILES]:
            click.echo(f"Read: {table}: {count:,} rows of {file}")
        if len(files) > FILES:
            rest = sum(list(files.values())[FILES:])
            click.echo(f"Read: {table}: {rest:,} rows of {len(files) - FILES:,} further files")
    for line in manifest["mapping"]:
        click.echo(f"Mapped: {line}")
    for reason, count in manifest["quarantine_reasons"].items():
        click.echo(f"Quarantined: {count:,} x {reason}")
