"""`segue recommend`: print the items that a listener should play next."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import checked_address
from cli.output import json_option, print_json, print_table
from cli.quiet import quiet_libraries
from segue.errors import InputError
from segue.files import write_text
from segue.settings import Home
from segue.terminal import say

if TYPE_CHECKING:
    from surfaces.assembly import Answer
    from surfaces.catalogue import Catalogue
    from surfaces.compose import Recommendation
    from surfaces.recommendations_page.page import ListenerPage

SHOWN = 5  # number of history entries that are printed


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
@click.option("--server", callback=checked_address, help="HOST:PORT of a model server.  [default: one in this process]")
@click.option(
    "--page", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write the lists to this file as HTML, too."
)
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
    page: Path | None,
    as_json: bool,
) -> None:
    """Recommend items to listeners: read their features, find candidates, and order them by the ranking model."""
    import warnings

    from stores.parts import DATA, MODELS, REPORTS, home_with
    from surfaces.known_values import check_values, why_empty
    from surfaces.read_catalogue import read_uncounted

    home = home_with(DATA, MODELS, REPORTS)
    catalogue = read_uncounted(home)
    # Before anything slow is imported.
    catalogue.check(picks)
    check_values(home, surface, content_types, market)
    moment = instant(at) if at else None

    warnings.simplefilter("ignore")  # Feast and Ibis warn about their own dependencies
    with quiet_libraries():
        from surfaces.assembly import recommend_once
        from surfaces.hydrate import OnlineFeatures
        from surfaces.request import Exploration, Request

        exploration = Exploration(budget=explore)
        features = OnlineFeatures(home)
    listeners = {user: features.read(user) for user in users}
    moment = moment or features.newest(listeners.values())
    if new and not picks:
        say("A new user without --pick has no features but surface and time.", err=True)
    requests = [
        Request(
            user_id=user,
            at=moment,
            surface=surface,
            k=k,
            session_id=session,
            picks=picks if new or picks else None,
            content_types=content_types,
            market=market or "",
            exploration=exploration,
        )
        for user in users
    ]
    hydrated = [(request, features.hydrate(request, listeners[request.user_id])) for request in requests]
    answers = recommend_once(home, catalogue, hydrated, server, quiet_libraries)
    pages = listener_pages(home, catalogue, answers)
    if page:
        write_page(home, page, surface, moment, pages)
    for answer in answers:
        if not answer.items:
            say(why_empty(answer.request), err=True)
    if as_json:
        lists = {answer.request.user_id: [item.to_dict() for item in answer.items] for answer in answers}
        print_json({"at": moment.isoformat(), "recommendations": lists})
        return
    for listener_page, answer in zip(pages, answers, strict=True):
        show(listener_page, answer, f"For {listener_page.listener} on {surface}, {moment:%Y-%m-%d %H:%M} UTC")
    if page:
        say(f"page     {page.resolve()}")


def listener_pages(home: Home, catalogue: "Catalogue", answers: "Sequence[Answer]") -> "list[ListenerPage]":
    """Add titles, creators and genres to the answers."""
    from surfaces.recommendations_page.listener_page import cards, item_ids, learned_heads, listener_page

    described, heads = cards(catalogue, item_ids(answers)), learned_heads(home)
    return [listener_page(answer, described, heads) for answer in answers]


def write_page(home: Home, path: Path, surface: str, at: datetime, pages: "Sequence[ListenerPage]") -> None:
    """Write the lists to an HTML page, with the last evaluation's figures and a link to the drift report."""
    from cli.evaluation import figures
    from cli.status import last_evaluated
    from surfaces.recommendations_page.page import render

    run = last_evaluated(home)
    links = (
        {"Drift report": os.path.relpath(home.drift_page, path.resolve().parent)} if home.drift_page.is_file() else {}
    )
    write_text(path, render(pages, surface, at, figures(run) if run else (), links))


def show(page: "ListenerPage", answer: "Answer", title: str) -> None:
    """Print a listener's last interactions, then the recommended items with their heads and sources."""
    rows = [
        (f"{entry.at:%Y-%m-%d %H:%M}", entry.action, entry.item.title, entry.item.creator, ", ".join(entry.item.genres))
        for entry in page.history[:SHOWN]
    ]
    print_table(f"{page.listener} played lately", ("when (UTC)", "action", "title", "creator", "genres"), rows)
    heads = list(page.suggestions[0].heads) if page.suggestions else []
    recommended = [
        (n, entry.item.title, ", ".join(entry.item.genres), item.scores["reward"], *entry.heads.values(), origin(item))
        for n, (entry, item) in enumerate(zip(page.suggestions, answer.items, strict=True), 1)
    ]
    if recommended:
        print_table(title, ("", "title", "genres", "reward", *heads, "source"), recommended)


def origin(item: "Recommendation") -> str:
    """Name the sources of an item, and whether it was explored: `retrieval, explored`."""
    return ", ".join([*item.sources, *(["explored"] if item.explored else [])])


def instant(text: str) -> datetime:
    """Parse an ISO 8601 time; a time without a zone is UTC.

    Raises:
        InputError: the text is not an ISO 8601 time.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # a time of the year 1 or 9999 may have no UTC
        raise InputError(f"--at takes a time in ISO 8601. Received {text!r}.", "Write 2026-03-01T20:00.") from None
