"""`segue recommend`: what plays next for a listener, on the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from cli.output import json_option, print_json, print_table
from cli.quiet import quiet_libraries
from segue.errors import InputError
from segue.settings import Home


@click.command()
@click.option("--user", "users", required=True, multiple=True, help="The id of a user; repeatable.")
@click.option("-k", type=click.IntRange(1, 200), default=10, show_default=True, help="Items to recommend.")
@click.option("--surface", default="home", show_default=True, help="Where the items would be shown.")
@click.option("--session", help="The id of the session, whose pushed plays and skips count.")
@click.option("--at", help="The time of the request, ISO 8601.  [default: that of the newest event]")
@click.option("--new", is_flag=True, help="The users are new: only surface and time are known.")
@click.option(
    "--pick", "picks", multiple=True, metavar="ITEM", help="An item that a new user picked; repeatable, implies --new."
)
@click.option(
    "--content-type",
    "content_types",
    multiple=True,
    metavar="TYPE",
    help="Recommend only items of this type; repeatable.",
)
@click.option("--market", help="Recommend only items available in this market.")
@click.option(
    "--explore", type=float, default=0.0, show_default=True, metavar="BUDGET",
    help="The share of places, from 0 to 0.5, that may go to promising items with few plays.",
)  # fmt: skip
@click.option("--server", help="HOST:PORT of a model server.  [default: one in this process]")
@json_option
def recommend(
    users: tuple[str, ...],
    k: int,
    surface: str,
    session: str | None,
    at: str | None,
    new: bool,
    picks: tuple[str, ...],
    content_types: tuple[str, ...],
    market: str | None,
    explore: float,
    server: str | None,
    as_json: bool,
) -> None:
    """Recommend items to listeners: read their features, find candidates, and order them by the ranking model."""
    import warnings

    from surfaces.titles import check_picks, read_titles

    home = Home.from_env()
    titles = read_titles(home)
    check_picks(picks, titles)  # before anything slow is imported

    warnings.simplefilter("ignore")  # Feast and Ibis warn about their own dependencies
    with quiet_libraries():
        from surfaces.assembly import recommend_once
        from surfaces.request import Exploration, Request

    if new and not picks:
        click.echo("A new user without --pick has no features but surface and time.", err=True)
    requests = [
        Request(
            user_id=user,
            surface=surface,
            k=k,
            session_id=session,
            picks=picks if new or picks else None,
            content_types=content_types,
            market=market or "",
            exploration=Exploration(budget=explore),
        )
        for user in users
    ]
    moment, lists = recommend_once(home, requests, titles, instant(at) if at else None, server, quiet_libraries)
    answers = {user: [item.to_dict() for item in items] for user, items in zip(users, lists, strict=True)}
    if as_json:
        print_json({"at": moment.isoformat(), "recommendations": answers})
        return
    for user, items in answers.items():
        show(f"For {user} on {surface}, {moment:%Y-%m-%d %H:%M} UTC", items)


def show(title: str, items: Sequence[dict]) -> None:
    """Print one listener's list as a table: title, reward, three heads and the sources of each item."""
    heads = [name for name in ("reward", "play", "skip", "like") if items and name in items[0]]
    rows = [(n, item["title"], *(item[head] for head in heads), origin(item)) for n, item in enumerate(items, 1)]
    print_table(title, ("", "title", *heads, "source"), rows)


def origin(item: dict) -> str:
    """The sources that found an item, and `explored` if it is, e.g. `retrieval, explored`."""
    return ", ".join([*item["source"], *(["explored"] if item["explored"] else [])])


def instant(text: str) -> datetime:
    """Parse an ISO 8601 time; a time without a zone is UTC.

    Raises:
        InputError: the text is not an ISO 8601 time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--at takes a time in ISO 8601. Received {text!r}.", "Write 2026-03-01T20:00.") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
