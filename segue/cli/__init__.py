"""The `segue` command. The composition root: commands import the rooms when they run, not before."""

import importlib
import io
import os
import signal
import sys
from typing import TextIO

import click

from segue.errors import SegueError

# name: (where the command lives, the line that `segue --help` shows without importing it)
COMMANDS = {
    "data": ("segue.cli.data:data", "Import an event log and describe what was imported."),
    "run": ("segue.cli.run:run", "Run a pipeline: training, monitoring or search."),
    "compile": ("segue.cli.run:compile_", "Compile the pipelines to YAML for a Kubeflow cluster."),
    "serve": ("segue.cli.serve:serve", "Serve the model store over TF Serving's protocol."),
    "recommend": ("segue.cli.recommend:recommend", "Recommend items to a user, on the terminal."),
    "drift": ("segue.cli.drift:drift", "Compare a current window with a reference window."),
    "retrain": ("segue.cli.drift:retrain", "Run the training pipeline, if a verdict asks for it."),
    "models": ("segue.cli.models:models", "List, promote and roll back model versions; add items."),
    "status": ("segue.cli.status:status", "Show the data, the last run and what is served."),
    "bench": ("segue.cli.bench:bench", "Measure quality, speed and memory beside a named peer."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def resolve_command(self, ctx, args):
        if args and args[0] not in COMMANDS:
            known = ", ".join(COMMANDS)
            raise click.UsageError(f"no command is named {args[0]!r}. The commands are: {known}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="segue")
def cli() -> None:
    """Segue decides what plays next, and keeps deciding well.

    State lies under SEGUE_HOME (default: .segue/ in the working directory).
    """


def buffered(stream: TextIO) -> TextIO:
    """A text stream that writes all of what it is given.

    With PYTHONUNBUFFERED, as in most images, text goes straight to its file: what a short write to a full pipe leaves
    over is lost without an error. A buffer writes on; lines still leave at once.
    """
    if not isinstance(stream.buffer, io.RawIOBase):
        return stream
    buffer = io.BufferedWriter(stream.buffer)
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=True)


def main() -> None:
    """Entry point: turns a `SegueError` into two lines on stderr and its exit code."""
    sys.stdout = buffered(sys.stdout)
    # TensorFlow Recommenders needs Keras 2; read when TensorFlow is imported, here and in children.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Bytecode takes an import of TensorFlow from 26 s to 7 s; children inherit this.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # As an exception, so that what this process started is stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        cli()
    except SegueError as error:
        click.secho(f"error: {error.headline}", fg="red", err=True)
        if error.fix:
            click.echo(f"  fix: {error.fix}", err=True)
        sys.exit(error.exit_code)
