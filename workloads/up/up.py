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
from surfaces.gateway.run import listening, serve, serve_app
from surfaces.operator.alone import operator_app
from surfaces.operator.operator import Operator
from surfaces.player.player import Listeners, Player
from workloads.monitoring.metrics import loop_metrics
from workloads.operating.decisions import LabelDecisions
from workloads.operating.operations import HomeOperations
from workloads.operating.overview import StateOf
from workloads.up.linked_pages import linked_pages
from workloads.up.model_server import ModelServer, model_server
from workloads.up.processes import accepts
from workloads.up.training import training

HOST = "127.0.0.1"
MODEL_PORT = 8500
PORTS_TRIED = 50
LAST_PORT = 65_535

Say = Callable[[str], None]
Result = TypeVar("Result")


def up(
    home: Home, settings: Settings, port: int, read_only: bool, state_of: StateOf, labels: LabelDecisions, say: Say
) -> None:
    """Run a model server, the gateway and the pages until SIGINT, SIGTERM or SIGHUP.

    The gateway answers before the models are loaded, with what it has. In a home without pushed models the operator's
    page runs alone.

    Args:
        home: the home.
        settings: say where the journal is.
        port: of the pages; if it is taken, the next free one.
        read_only: whether every change is refused, and pages that are shown are not recorded.
        state_of: says how a run is doing.
        labels: decides on labels.
        say: prints a line.

    Raises:
        InputError: no port is free.
        UnavailableError: the model server ends again and again, or the journal does not answer.
    """
    log = home.root / "up" / "gateway.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, filename=log, format="%(asctime)s %(levelname)s %(message)s")
    served = model_store.stable(home.models)
    model_port = next_free(MODEL_PORT, lambda one: None if accepts(one) else one, say) if served else 0
    bound = next_free(port, bind, say)
    with bound, linked_pages(home) as links, training(home) as runs:
        operator = Operator(HomeOperations(home, state_of, runs, labels, utc_now), links)
        if not served:
            asyncio.run(answer_alone(bound, operator, read_only, say))
            return
        with (
            read_only_journal() if read_only else contextlib.closing(open_journal(home, settings)) as journal,
            model_server(home, model_port) as server,
        ):
            player = Player(Listeners.of(home), read_only, operator)
            asyncio.run(answer(home, f"{HOST}:{model_port}", journal, bound, player, server, say))


async def answer(
    home: Home, models: str, journal: Journal, bound: socket.socket, player: Player, server: ModelServer, say: Say
) -> None:
    """Answer requests until a signal ends it, or until the model server cannot be kept running."""
    stopping = until_signal()
    watching = asyncio.create_task(server.watch(say))
    watching.add_done_callback(lambda _: stopping.set())

    def started() -> None:
        address = address_of(bound)
        mode = " (read-only)" if player.read_only else ""
        say(f"player   {address}/player/{mode}")
        say(f"operator {address}/operator/{mode}")
        say(f"gateway  {address}")
        say(f"models   {models}")
        say("Ctrl-C stops all of it.")

    async with open_gateway(home, models, journal, utc_now) as gateway:
        gateway.metrics.readings += loop_metrics(home, utc_now)
        await serve(gateway, bound, (), started, stopping, player=player)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


async def answer_alone(bound: socket.socket, operator: Operator, read_only: bool, say: Say) -> None:
    """Answer the operator's page until a signal ends it."""

    def started() -> None:
        say("The player needs pushed models, and there are none. Run `segue run training`, then `segue up` again.")
        say(f"operator {address_of(bound)}/operator/{' (read-only)' if read_only else ''}")
        say("Ctrl-C stops it.")

    await serve_app(operator_app(operator, read_only), bound, started, until_signal())


def until_signal() -> asyncio.Event:
    """An event that SIGINT, SIGTERM and SIGHUP set."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` ignores SIGHUP
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping


def address_of(bound: socket.socket) -> str:
    """The address of what listens on a socket."""
    host, port = bound.getsockname()
    return f"http://{host}:{port}"


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
