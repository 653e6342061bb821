"""`segue serve`: the model server, with TF Serving's flags."""

import logging
import signal
from typing import TYPE_CHECKING, Any

import click

from segue.settings import Home
from segue.terminal import say, visible
from serving.flags import ServeCommand, unused

if TYPE_CHECKING:
    from serving.server_config import ServerConfig


class VisibleFormatter(logging.Formatter):
    """Formats a message of the log as one line, because it may quote a request."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))


@click.command(cls=ServeCommand)
@click.pass_context
def serve(context: click.Context, **_: Any) -> None:
    """Serve models over TF Serving's gRPC and REST protocols until SIGTERM or SIGINT.

    The command takes every flag of tensorflow_model_server, as --flag=value or --flag value, and booleans as
    --flag or --flag=false. Without --model_config_file and --model_base_path it serves the project's own model
    store and follows its changes.
    """
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(VisibleFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_stderr])
    # TensorFlow warns at every load that the TF1 loader is deprecated; `serving.server.loader` uses it on purpose.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    settings, warnings = configuration(context, Home.from_env())
    for warning in warnings:
        say(f"warning: {warning}", fg="yellow", err=True)

    from serving.run_server import ModelServer

    server = ModelServer(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.request_stop())
    with server:
        say(f"serving at {server.address}")
        server.wait()


def configuration(context: click.Context, home: Home) -> tuple["ServerConfig", list[str]]:
    """The configuration that a command line asks for, and warnings of one line each.

    Raises:
        InputError: see `serving.command_line.server_config`.
    """
    from serving.command_line import server_config

    settings, warnings = server_config(context.params, home.models / "models.config")
    return settings, [*(f"{name} has no effect on this server" for name in unused(context)), *warnings]
