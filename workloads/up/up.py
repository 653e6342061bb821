"""Run everything that a person needs to see Segue work, until a signal ends it."""

import asyncio
import contextlib
import logging
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from events.journal.journal import Journal, open_journal
from events.journal.sqlite_keeping import SqliteKeeping
from segue.clock import utc_now
from segue.errors import InputError
from segue.settings import Home
from serving.store import model_store
from stores.settings import Settings
from surfaces.gateway.assembly import open_gateway
from surfaces.gateway.run import listening, serve
from surfaces.player.player import Listeners, Player
from workloads.up.mlflow_pages import mlflow_pages
from workloads.up.model_server import ModelServer, model_server
from workloads.up.processes import accepts

HOST = "127.0.0.1"
MODEL_PORT = 8500
PORTS_TRIED = 50
LAST_PORT = 65_535

Say = Callable[[str], None]
Result = TypeVar("Result")


def up(home: Home, settings: Settings, port: int, read_only: bool, say: Say) -> None:
    """Run a model server, the gateway and the player's pages until SIGINT, SIGTERM or SIGHUP.

    The gateway answers before the models are loaded, with what it has.

    Args:
        home: the home, with pushed models and online features.
        settings: say where the journal is.
        port: of the pages; if it is taken, the next free one.
        read_only: whether events are refused, and pages that are shown are not recorded.
        say: prints a line.

    Raises:
        InputError: nothing is served, or no port is free.
        UnavailableError: the model server ends again and again, or the journal does not answer.
    """
    if not model_store.stable(home.models):
        raise InputError("The player needs pushed models. There are none.", "Run `segue run training` first.")
    log = home.root / "up" / "gateway.log"
    log.parent.mkdir(exist_ok=True)
    logging.basicConfig(level=logging.INFO, filename=log, format="%(asctime)s %(levelname)s %(message)s")
    model_port = next_free(MODEL_PORT, lambda one: None if accepts(one) else one, say)
    bound = next_free(port, bind, say)
    with (
        bound,
        read_only_journal() if read_only else contextlib.closing(open_journal(home, settings)) as journal,
        mlflow_pages(home) as mlflow,
        model_server(home, model_port) as server,
    ):
        player = Player(Listeners.of(home), read_only, {"MLflow": mlflow.open})
        asyncio.run(answer(home, f"{HOST}:{model_port}", journal, bound, player, server, say))


async def answer(
    home: Home, models: str, journal: Journal, bound: socket.socket, player: Player, server: ModelServer, say: Say
) -> None:
    """Answer requests until a signal ends it, or until the model server cannot be kept running."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores SIGHUP
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    watching = asyncio.create_task(server.watch(say))
    watching.add_done_callback(lambda _: stopping.set())

    def started() -> None:
        host, port = bound.getsockname()
        say(f"player   http://{host}:{port}/player/{' (read-only)' if player.read_only else ''}")
        say(f"gateway  http://{host}:{port}")
        say(f"models   {models}")
        for name in player.links:
            say(f"{name}   http://{host}:{port}/player/open/{name} (starts when it is opened)")
        say("Ctrl-C stops all of it.")

    async with open_gateway(home, models, journal, utc_now) as gateway:
        await serve(gateway, bound, (), started, stopping, player=player)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


@contextlib.contextmanager
def read_only_journal() -> Iterator[Journal]:
    """A journal that is gone afterwards: the reasons of a page are read from it, and the home's journal stays."""
    with (
        tempfile.TemporaryDirectory(prefix="segue-up-") as folder,
        contextlib.closing(Journal(SqliteKeeping(Path(folder) / "journal.db"))) as journal,
    ):
        yield journal


def bind(port: int) -> socket.socket | None:
    """A socket on a port; None if the port is taken."""
    try:
        return listening(HOST, port)
    except InputError:
        return None


def next_free(port: int, take: Callable[[int], Result | None], say: Say) -> Result:
    """What `take` answers for the first port, from `port` on, that is not taken.

    Raises:
        InputError: all of the ports that are tried are taken.
    """
    for number in range(port, min(port + PORTS_TRIED, LAST_PORT + 1)):
        taken = take(number)
        if taken is not None:
            if number != port:
                say(f"port {port} is taken, so this goes to port {number}")
            return taken
    raise InputError(f"One of {PORTS_TRIED} ports from {port} on is free. All are taken.", "Give another --port.")
