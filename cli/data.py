"""`segue data`: check and import an event log, collect the journal into it, describe it, and forget a listener."""

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.collect import collect
from cli.options import file_options, mapping_of
from cli.output import json_option, print_json, print_table
from segue.clock import utc_now
from segue.errors import InputError
from segue.settings import Home
from segue.terminal import say

if TYPE_CHECKING:
    from events.imported import Imported

RECENT = 8  # number of a listener's interactions that are shown
FILES = 12  # number of files of a table that are listed with their rows
AHEAD = timedelta(days=1)  # an event may lie this far in the future, because clocks differ


@click.group()
def data() -> None:
    """Check, import, collect and describe an event log; forget a listener."""


data.add_command(collect)


class Imports(click.Group):
    """The commands of `segue data import`, with one for each public data set of `events.importers.registry`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        from events.importers.registry import DATA_SETS

        return sorted([*super().list_commands(ctx), *DATA_SETS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name, or None."""
        return super().get_command(ctx, cmd_name) or public_command(cmd_name)


def public_command(name: str) -> click.Command | None:
    """Return the command that imports a public data set from a folder, or None if there is none of this name."""
    from events.importers.registry import DATA_SETS

    data_set = DATA_SETS.get(name)
    if data_set is None:
        return None

    @click.command(name, help=f"Import {data_set.title} from its FOLDER: {data_set.holds}.")
    @click.argument("folder", type=click.Path(path_type=Path))
    @json_option
    def command(folder: Path, as_json: bool) -> None:
        store_and_show(data_set.read(folder), utc_now() + AHEAD, as_json)

    return command


def list_data_sets(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the public data sets and end the command."""
    from events.importers.registry import DATA_SETS

    if not wanted:
        return
    for name, data_set in DATA_SETS.items():
        say(f"{name} FOLDER")
        say(f"  {data_set.title}: {data_set.holds}")
        say(f"  files:   {'; '.join(data_set.files)}")
        say(f"  licence: {data_set.licence}")
    ctx.exit()


@data.group(name="import", cls=Imports)
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=list_data_sets,
              help="List the public data sets, their files and their licences.")  # fmt: skip
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
@click.option(
    "--world",
    default=1,
    show_default=True,
    type=click.IntRange(1, 2),
    help="Version: 2 has moods, hours, rows, listener effects, typos and a future for `segue simulate`.",
)
@click.option(
    "--future",
    default=28,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many days a world of version 2 goes on after its log, for `segue simulate`.",
)
@json_option
def synthetic(
    size: str, seed: int, drift: str | None, drift_day: int | None, world: int, future: int, as_json: bool
) -> None:
    """Generate a synthetic world of listeners, with impressions, outcomes and propensities."""
    from events.importers.synthetic import generate, sized

    store_and_show(generate(sized(size, drift, drift_day, world, future), seed), None, as_json)


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
    from stores.parts import DATA, home_with

    home = home_with(DATA)
    if user is not None:
        show_listener(user, describe.recent_interactions(home.data, user, RECENT), as_json)
        return
    result = describe.describe(home.data)
    if as_json:
        print_json(result)
        return
    show(result)
    print_table("Surfaces", ("surface", "events"), counted(result["surfaces"]))
    print_table("Content", ("type", "items"), counted(result["content_types"]))
    active = result["active"]
    share = f"in {result['density']:.2%} of all pairs"
    say(f"Active: {active['users']:,} users and {active['items']:,} items have interactions, {share}.")


@data.command()
@click.argument("user")
@json_option
def forget(user: str, as_json: bool) -> None:
    """Delete the listener USER from the journal, the log and the features, and say what remains."""
    from feature_repo.forget import forget

    result = forget(Home.from_env(), user, utc_now())
    if as_json:
        print_json(result)
        return
    rows = ", ".join(f"{count:,} of {table}" for table, count in result["deleted"].items())
    say(f"Deleted {user}: {rows}; online: {'yes' if result['online'] else 'was not there'}.")
    for line in result["remains"]:
        say(f"Remains: {line}")


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


def store_and_show(imported: "Imported", latest: datetime | None, as_json: bool) -> None:
    """Write an imported data set into the home and print its manifest."""
    from events.dataset import write
    from stores import parts

    home = Home.from_env()
    manifest = parts.change(home, parts.DATA, lambda: write(home.data, imported, latest))
    if as_json:
        print_json(manifest)
    else:
        show(manifest)


def show_preview(report: dict[str, Any]) -> None:
    """Print what an import would do."""
    rows = [(file["file"], file["table"], file["form"], f"{file['rows']:,}") for file in report["files"]]
    print_table("Files", ("file", "table", "read as", "rows"), rows)
    for line in report["notes"]:
        say(f"Mapped: {line}")
    for table, columns in report["unmatched"].items():
        if columns:
            say(f"Kept as they are: {table}: {', '.join(columns)}")
    for reason, count in report["quarantine_reasons"].items():
        say(f"Quarantined: {count:,} x {reason}")
        for row in report["samples"][reason]:
            values = {name: value for name, value in json.loads(row["record"]).items() if value is not None}
            say(f"  {row['file']}, row {row['row']}: {json.dumps(values, ensure_ascii=False)}")
    if not report["stops"]:
        counts = report["counts"]
        say(f"Would import: {counts['events']:,} events, {counts['items']:,} items, {counts['users']:,} users.")
    say(f"To import: {report['command']}")


def show(manifest: dict[str, Any]) -> None:
    """Print a manifest as tables."""
    counts, span = manifest["counts"], manifest["span"]
    rows = [(name, f"{counts[name]:,}") for name in ("events", "items", "users", "quarantined")]
    rows += [(f"  {action}", count) for action, count in counted(manifest["actions"])]
    print_table(f"Imported: {manifest['dataset']}", ("what", "count"), rows)
    say(f"Span: {span['first']} .. {span['last']}")
    if manifest.get("licence"):
        say(f"Licence: {manifest['licence']}")
    for table, files in manifest["files"].items():
        for file, count in list(files.items())[:FILES]:
            say(f"Read: {table}: {count:,} rows of {file}")
        if len(files) > FILES:
            rest = sum(list(files.values())[FILES:])
            say(f"Read: {table}: {rest:,} rows of {len(files) - FILES:,} further files")
    for line in manifest["mapping"]:
        say(f"Mapped: {line}")
    for reason, count in counted(manifest["quarantine_reasons"]):
        say(f"Quarantined: {count} x {reason}")


def counted(counts: dict[str, int]) -> list[tuple[str, str]]:
    """Return names with their counts as text, the most frequent first."""
    return [(name, f"{count:,}") for name, count in Counter(counts).most_common()]
