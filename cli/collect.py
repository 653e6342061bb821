"""`segue data collect`: bring the journal into the log."""

from datetime import timedelta
from pathlib import Path

import click

from cli.options import file_options, mapping_of
from cli.output import json_option, print_json, print_table
from segue.clock import utc_now
from segue.settings import Home
from segue.terminal import say

KEEP_DAYS = 30  # in the journal, which says why an item was shown and joins late feedback
MOST_DAYS = 10_000  # a date so many days ago exists; one far longer ago is before the year 1


@click.command()
@click.option(
    "--keep-days",
    default=KEEP_DAYS,
    show_default=True,
    type=click.IntRange(0, MOST_DAYS),
    help="Collected requests that are older leave the journal.",
)
@click.option(
    "--items",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A table of items that the log does not know yet; repeatable.",
)
@file_options
@json_option
def collect(
    keep_days: int,
    items: tuple[Path, ...],
    pairs: tuple[str, ...],
    separator: str | None,
    encoding: str | None,
    as_json: bool,
) -> None:
    """Join what was shown with what listeners did, from the journal into the log.

    Each request is collected once, however often the command runs or is killed.
    """
    from contextlib import closing

    from events.importers.own.dialects import Dialect
    from events.importers.tabular import read_items
    from events.journal.collect import collect_home
    from events.journal.journal import open_journal
    from stores.settings import settings

    home = Home.from_env()
    table = read_items(items, mapping_of(pairs), Dialect(separator, encoding))[0] if items else None
    with closing(open_journal(home, settings())) as journal:
        result = collect_home(journal, home, utc_now(), timedelta(days=keep_days), table)
    if as_json:
        print_json(result)
        return
    say(f"Collected: {result['requests']:,} requests, {result['listeners']:,} new listeners.")
    if result["added"]:
        rows = [(action, f"{count:+,}") for action, count in sorted(result["added"].items())]
        print_table("Events", ("action", "change"), rows)
    if result["unexplained"]:
        say(f"Without their exposure: {result['unexplained']:,} interactions.")
    for reason, count in sorted(result["quarantined"].items()):
        say(f"Quarantined: {count:,} x {reason}")
    say(f"Dropped from the journal: {result['dropped']:,} records older than {keep_days} days.")
