"""`segue recommend`: what plays next for a listener, on the terminal."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.output import json_option, print_json, print_table
from cli.quiet import quiet_libraries
from segue.errors import InputError
from segue.settings import Home


@click.command()
@click.option("--user", "users", required=True, multiple=True, help="A user's id; may be given several times.")
@click.option("-k", type=click.IntRange(1, 200), default=10, show_default=True, help="Items to recommend.")
@click.option("--surface", default="home", show_default=True, help="Where the items would be shown.")
@click.option("--session", help="The session's id: plays and skips that `push_interaction` told of it count.")
@click.option("--at", help="The request's time, ISO 8601.  [default: the newest that is known of]")
@click.option("--new", is_flag=True, help="The users are new: nothing is known of them but surface and time.")
@click.option("--pick", "picks", multiple=True, metavar="ITEM", help="An item that a new user likes; implies --new.")
@click.option("--content-type", "content_types", multiple=True, metavar="TYPE", help="Only such items; repeatable.")
@click.option("--market", help="Only items that may be heard in this market.")
@click.option(
    "--explore", type=float, default=0.0, show_default=True, metavar="BUDGET",
    help="The share of places, from 0 to 0.5, that may go to promising items that few have played yet.",
)  # fmt: skip
@click.option("--server", help="HOST:PORT of a model server.  [default: one of its own, for this call]")
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
    """Recommend items: features from Feast, candidates from retrieval and the sequence model, order from ranking."""
    import warnings

    home = Home.from_env()
    from serving.store.model_store import served

    retrieval, _ = (served(home.models, model) for model in ("retrieval", "ranking"))
    titles = read_titles(home.data, retrieval)
    check_picks(picks, titles)  # what can be refused is, before anything slow is imported

    warnings.simplefilter("ignore")  # Feast and Ibis warn of their own dependencies
    with quiet_libraries():
        from feature_repo.feast_store import open_store
        from feature_repo.online import listener, session_state, state
        from serving.client.sync_client import Client
        from surfaces.recommend import Exploration, Recommender, cold_state

    exploration = Exploration(budget=explore)
    store, log_end = open_store(home), instant(state(home)["last_event"])
    listeners = {user: listener(store, user) for user in users}
    moment = instant(at) if at else max(log_end, *(stored.newest for stored in listeners.values()))
    request_ts = int(moment.timestamp())
    filters = {"content_types": list(content_types) or None, "market": market}
    context = {"surface": surface, "request_ts": request_ts, **session_state(store, session), **filters}
    if new and not picks:
        click.echo("Nothing is known of a new user without --pick: only surface and time speak.", err=True)
    known = {
        user: {**(cold_state(picks, request_ts) if new or picks else stored.features_at(moment)), **context}
        for user, stored in listeners.items()
    }
    with model_server(server, home.models) as address, Client(address) as client:
        recommender = Recommender(client)
        answers = {user: recommender.recommend(features, k, exploration) for user, features in known.items()}
    answers = {
        user: [{"title": titles.get(item["item_id"], item["item_id"]), **item} for item in items]
        for user, items in answers.items()
    }
    if as_json:
        print_json({"at": moment.isoformat(), "recommendations": answers})
        return
    for user, items in answers.items():
        show(f"For {user} on {surface}, {moment:%Y-%m-%d %H:%M} UTC", items)


def show(title: str, items: Sequence[dict]) -> None:
    """Print one listener's list: title, reward, the heads that fit on a line, and where each item came from."""
    heads = [name for name in ("reward", "play", "skip", "like") if items and name in items[0]]
    rows = [(n, item["title"], *(item[head] for head in heads), origin(item)) for n, item in enumerate(items, 1)]
    print_table(title, ("", "title", *heads, "source"), rows)


def origin(item: dict) -> str:
    """The sources that found an item, and whether it is explored, in one cell."""
    return ", ".join([*item["source"], *(["explored"] if item["explored"] else [])])


def check_picks(picks: Sequence[str], known: dict[str, str]) -> None:
    """Whether what a listener picked is there to be liked.

    Raises:
        InputError: some items are not in the catalogue; names them all.
    """
    unknown = [item for item in picks if item not in known]
    if unknown:
        raise InputError(
            f"--pick takes ids of the imported catalogue; not in it: {', '.join(map(repr, unknown))}.",
            "`items.parquet` of the imported data holds the ids.",
        )


def instant(text: str) -> datetime:
    """An ISO 8601 time, UTC where it states no zone.

    Raises:
        InputError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"--at takes a time in ISO 8601. Received {text!r}.", "Write 2026-03-01T20:00.") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def model_server(address: str | None, models: Path) -> Iterator[str]:
    """The address of a model server: the given one, or one in this process for the time of the body."""
    if address:
        yield address
        return
    with ExitStack() as stack:
        with quiet_libraries():
            from serving.run_server import ModelServer, ServerConfig

            config = ServerConfig(model_config_file=models / "models.config")
            server = stack.enter_context(ModelServer(config))
        yield server.address


def read_titles(data: Path, retrieval: Path) -> dict[str, str]:
    """Titles by item id: of the imported catalogue, and of what was added to the served retrieval model since."""
    import pyarrow.parquet as pq

    from models.saved.card import CARD, read_card

    added = read_card(retrieval).get("added", []) if (retrieval / CARD).is_file() else []
    titles = {item: title for batch in added for item, title in batch["items"].items()}
    path = data / "items.parquet"
    if path.is_file():
        columns = pq.read_table(path, columns=["item_id", "title"])
        titles |= dict(zip(columns["item_id"].to_pylist(), columns["title"].to_pylist(), strict=True))
    return titles
