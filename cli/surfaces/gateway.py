"""`segue gateway`: answer listeners' requests over HTTP."""

import asyncio
import contextlib
import logging
import signal
from functools import partial
from pathlib import Path

import click

from cli.options import checked_address
from cli.quiet import quiet_libraries
from segue.errors import InputError
from segue.terminal import say

SHORTEST_TOKEN = 16  # characters


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="The port; 0 takes a free one."
)
@click.option(
    "--server", default="127.0.0.1:8500", show_default=True, callback=checked_address,
    help="HOST:PORT of the model server.",
)  # fmt: skip
@click.option(
    "--server-ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Connect to the model server by TLS: the certificate of the authority that signed its certificate.",
)
@click.option(
    "--tokens", "token_file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Answer only callers with a token of this file, one a line: Authorization: Bearer TOKEN.",
)  # fmt: skip
@click.option("--off", multiple=True, metavar="NAME", help="Switch a stage, a source or a filter off; repeatable.")
@click.option("--simulated-clock", is_flag=True, help="Each request says what time it is, for `segue simulate`.")
def gateway(
    host: str,
    port: int,
    server: str,
    server_ca: Path | None,
    token_file: Path | None,
    off: tuple[str, ...],
    simulated_clock: bool,
) -> None:
    """Answer Home, Now Playing and events over HTTP until SIGTERM or SIGINT.

    `segue serve` must run for whole answers; without it the gateway answers with what it has.
    """
    import warnings

    from segue.settings import Home
    from stores.parts import DATA, EXPERIMENTS, MODELS, REPORTS, SURFACES, bring_newer

    tokens = read_tokens(token_file) if token_file else []
    home = Home.from_env()
    bring = partial(bring_newer, home, {}, DATA, MODELS, SURFACES, EXPERIMENTS, REPORTS)
    bring()
    warnings.simplefilter("ignore")  # Feast and Ibis warn about their own dependencies
    with quiet_libraries():
        import uvloop

        from surfaces.engine.switches import check_switches
        from surfaces.gateway.assembly import open_gateway
        from surfaces.gateway.run import listening, serve
        from surfaces.gateway.simulated_clock import simulated_now
        from surfaces.home.rules import HomeRules
        from surfaces.request import Exploration
        from workloads.monitoring.metrics import loop_metrics

    from events.journal.journal import open_journal
    from segue.clock import utc_now
    from serving.client.connection import TLS
    from serving.command import VisibleFormatter
    from stores.settings import knobs, settings

    check_switches(off)
    rules, exploration = knobs(HomeRules, "home_page"), knobs(Exploration, "exploration")
    clock = simulated_now if simulated_clock else utc_now
    bound = listening(host, port)
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(VisibleFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_stderr])

    async def run() -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        async with open_gateway(
            home,
            server,
            journal,
            clock,
            frozenset(off),
            tls=TLS(server_ca) if server_ca else None,
            bring=bring,
            rules=rules,
            exploration=exploration,
        ) as opened:
            opened.metrics.readings += loop_metrics(home, clock)
            shown = f"[{host}]" if ":" in host else host
            line = f"gateway at http://{shown}:{bound.getsockname()[1]}, models at {server}"
            await serve(opened, bound, tokens, lambda: say(line), stopping, simulated_clock)

    with bound, contextlib.closing(open_journal(home, settings())) as journal:
        uvloop.run(run())


def read_tokens(path: Path) -> list[str]:
    """The tokens of a file: one a line; empty lines and lines that begin with # are left out.

    Raises:
        InputError: a token is short, or the file has none.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    tokens = [line for line in lines if line and not line.startswith("#")]
    short = [token for token in tokens if len(token) < SHORTEST_TOKEN or not token.isascii()]
    if short or not tokens:
        raise InputError(
            f"A file of tokens has a token a line, each of {SHORTEST_TOKEN} or more ASCII characters. "
            f"{path} has {len(tokens)} tokens, {len(short)} of them others.",
            "Write one by `python -c 'import secrets; print(secrets.token_urlsafe())'`.",
        )
    return tokens
