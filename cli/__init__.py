"""The `segue` command. Each command imports the packages that it needs when it runs, so that `--help` is fast."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

import click

from cli.options import refuse_repeats
from segue.entry import enter
from segue.errors import InputError
from segue.terminal import visible

# name: (where the command lives, the line that `segue --help` shows without importing it)
COMMANDS = {
    "data": ("cli.data:data", "Check, import, collect and describe an event log; forget a listener."),
    "run": ("cli.pipelines.run:run", "Run a pipeline: training, monitoring or search."),
    "runs": ("cli.pipelines.runs:runs", "List runs, follow a run's log, stop a run."),
    "compile": ("cli.pipelines.run:compile_", "Compile the pipelines to YAML for a Kubeflow cluster."),
    "up": ("cli.surfaces.up:up", "Open the player: model server, gateway and pages by one command."),
    "serve": ("serving.command:serve", "Serve the model store over TF Serving's protocol."),
    "gateway": ("cli.surfaces.gateway:gateway", "Answer listeners over HTTP: Home, Now Playing, events."),
    "recommend": ("cli.surfaces.recommend:recommend", "Recommend items to listeners, on the terminal."),
    "simulate": ("cli.surfaces.simulate:simulate", "Let a world's listeners use the gateway, day by day."),
    "monitor": ("cli.monitor:monitor", "Check the newest day, decide whether to retrain; show the loop over time."),
    "drift": ("cli.drift:drift", "Compare a current window with a reference window."),
    "retrain": ("cli.monitor:retrain", "Run the training pipeline, if a decision asks for it."),
    "models": ("cli.models:models", "List, promote and roll back model versions; add items; example requests."),
    "status": ("cli.status:status", "Show the data, the last run and what is served."),
    "experiment": ("cli.experiments.command:experiment", "Plan, start, read and stop experiments."),
    "rollout": ("cli.rollout:rollout", "Roll out a version beside the stable one: start, status, promote, abort."),
    "settings": ("stores.command:settings_", "Print the settings of the stores and where each comes from."),
    "doctor": ("stores.command:doctor", "Check that each part that holds state works."),
    "bench": ("cli.bench:bench", "Measure quality, speed and memory beside a named peer."),
}


@contextmanager
def errors_about_text() -> Iterator[None]:
    """Make the control characters in click's errors visible, and refuse names that are not UTF-8.

    Python reads the bytes of such a name as surrogates, which no library can write.

    Raises:
        InputError: an argument, or the name of a file or folder, is not UTF-8.
    """
    try:
        yield
    except click.UsageError as error:
        message = error.format_message()
        shown = "\n".join(map(visible, message.split("\n")))  # the help of a group is an error of many lines, too
        if shown == message:
            raise
        raise click.UsageError(shown, error.ctx) from error
    except UnicodeEncodeError as error:
        if error.reason != "surrogates not allowed":
            raise
        raise InputError(
            f"Arguments and the names of files are UTF-8. Received {error.object!r}.",
            "Rename the file, or write the argument in UTF-8.",
        ) from error


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called."""

    def make_context(self, info_name, args, parent=None, **extra):
        with errors_about_text():
            for argument in args:
                argument.encode()
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context):
        with errors_about_text():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        return refuse_repeats(getattr(importlib.import_module(module), attribute))

    def resolve_command(self, ctx, args):
        if args and args[0] not in COMMANDS:
            raise click.UsageError(f"no command is named {args[0]!r}. The commands are: {', '.join(COMMANDS)}.")
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


def main() -> None:
    """Entry point of the `segue` command."""
    enter(cli)
