"""`segue recommend`: what plays next for a listener, on the terminal."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from segue.cli.output import json_option, print_json, print_table
from segue.cli.quiet import quiet_libraries
from segue.errors import InputError
from segue.settings import Home


@click.command()
@click.option("--user", "users", required=True, multiple=True, help="A user's id; may be given several times.")
@click.option("-k", type=click.IntRange(1, 200), default=10, show_default=True, help="Items to recommend.")
@click.option("--surface", default="home", show_default=True, help="Where the items would be shown.")
@click.option("--session", help="The session's id: what was pushed within it counts.")
@click.option("--at", help="The request's time, ISO 8601.  [default: the end of the imported log]")
@click.option("--server", help="HOST:PORT of a model server.  [default: one of its own, for this call]")
@json_option
def recommend(
    users: tuple[str, ...],
    k: int,
    surface: str,
    session: str | None,
    at: str | None,
    server: str | None,
    as_json: bool,
) -> None:
    """Recommend items: online features from Feast, retrieval, ranking."""
    import warnings

    home = Home.from_env()
    from serving.store import served

    for model in ("retrieval", "ranking"):
        served(home.models, model)  # says what to do before anything slow is imported

    warnings.simplefilter("ignore")  # Feast and Ibis warn of their own dependencies
    with quiet_libraries():
        from feature_repo.online import session_state, state, user_state
        from feature_repo.store import open_store
        from serving.client import Client
        from serving.recommend import Recommender

    moment = instant(at or state(home)["last_event"])
    store = open_store(home)
    context = {"surface": surface, "request_ts": int(moment.timestamp()), **session_state(store, session)}
    known = {user: {**user_state(store, user, moment), **context} for user in users}
    titles = read_titles(home.data)
    with model_server(server, home.models) as address, Client(address) as client:
        recommender = Recommender(client)
        answers = {user: recommender.recommend(features, k) for user, features in known.items()}
    answers = {
        user: [{"title": titles.get(item["item_id"], item["item_id"]), **item} for item in items]
        for user, items in answers.items()
    }
    if as_json:
        print_json({"at": moment.isoformat(), "recommendations": answers})
        return
    for user, items in answers.items():
        heads = [name for name in items[0] if name not in ("item_id", "title")] if items else []
        print_table(
            f"For {user} on {surface}, {moment:%Y-%m-%d %H:%M} UTC",
            ("", "title", *heads),
            [(n, item["title"], *(item[head] for head in heads)) for n, item in enumerate(items, 1)],
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
            from serving.server import ModelServer, ServerConfig

            config = ServerConfig(model_config_file=models / "models.config")
            server = stack.enter_context(ModelServer(config))
        yield server.address


def read_titles(data: Path) -> dict[str, str]:
    """Titles of the imported catalogue by item id."""
    import pyarrow.parquet as pq

    path = data / "items.parquet"
    if not path.is_file():
        return {}
    columns = pq.read_table(path, columns=["item_id", "title"])
    return dict(zip(columns["item_id"].to_pylist(), columns["title"].to_pylist(), strict=True))
