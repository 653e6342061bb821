"""Run the gateway's application by uvicorn on uvloop, until a signal ends it."""

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import Callable, Collection, Iterator

import uvicorn

from segue.errors import InputError
from surfaces.gateway.app import create_app
from surfaces.gateway.connections import RoomForNew
from surfaces.gateway.gateway import Gateway
from surfaces.player.player import Player

STOP_SECONDS = 10  # in which the requests under way are answered after SIGTERM
OPEN_CONNECTIONS = 2048  # that may wait to be accepted
# After so many seconds a thread gives way to another. The event loop waits for the threads that read features and write
# exposures; Python's own 5 ms are a tenth of an answer.
SWITCH_SECONDS = 0.0005
# New objects before the youngest are collected. A page makes thousands, of which none is in a cycle: with Python's own
# 700, each page is interrupted several times.
YOUNGEST = 20_000


class Server(uvicorn.Server):
    """uvicorn without handlers of signals, which belong to the command, and with a note when it answers."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._on_start()


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address, before anything slow begins.

    Raises:
        InputError: the port is taken, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise InputError(
            f"The gateway cannot listen on {host}:{port}: {error.strerror}.",
            "Stop the other server, or give another --port or --host.",
        ) from None
    return bound


async def serve(
    gateway: Gateway,
    bound: socket.socket,
    tokens: Collection[str],
    on_start: Callable[[], None],
    stopping: asyncio.Event,
    simulated_clock: bool = False,
    player: Player | None = None,
) -> None:
    """Answer requests until `stopping` is set, then finish those under way.

    Args:
        gateway: answers.
        bound: the socket to listen on.
        tokens: the callers' tokens.
        on_start: called when it answers.
        stopping: ends the server.
        simulated_clock: whether each request says what time it is.
        player: the settings of the player's pages; None for no pages.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    # What is loaded by now stays. To visit it again would stop all requests for a tenth of a second and more.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNGEST, 10, 10)
    config = uvicorn.Config(
        create_app(gateway, tokens, simulated_clock, player),
        http=RoomForNew,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=OPEN_CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = Server(config, on_start)
    running = asyncio.create_task(server.serve([bound]))
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopped.cancel()
    await running
    gc.unfreeze()  # DuckDB reports what the interpreter's end finds frozen as leaked
