"""Options that several commands share, and their rules: one value once, and an address of the right form."""

from collections import Counter
from collections.abc import Callable

import click

from segue.errors import InputError


def refuse_repeats(command: click.Command) -> click.Command:
    """Make a command and its subcommands refuse an option that takes one value and is given several times.

    click takes the last value and says nothing. Only its parser knows how often an option came.
    """
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            refuse_repeats(subcommand)
    if "make_parser" in vars(command):  # the command was prepared before
        return command
    make_parser = command.make_parser

    def make_checking_parser(context: click.Context):
        parser = make_parser(context)
        parse = parser.parse_args

        def parse_args(args: list[str]):
            values, rest, order = parse(args)
            check(order)
            return values, rest, order

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    command.make_parser = make_checking_parser  # type: ignore[method-assign, assignment]
    return command


def check(order: list[click.Parameter]) -> None:
    """Raise InputError if an option of one value occurs twice among the parameters in the order of their values."""
    for parameter, times in Counter(order).items():
        single = isinstance(parameter, click.Option) and not (parameter.multiple or parameter.count)
        if single and not parameter.is_eager and times > 1:
            raise InputError(
                f"`{parameter.opts[0]}` takes one value; it is given {times} times.", "Keep the one that is meant."
            )


def checked_address(context: click.Context, parameter: click.Parameter, address: str | None) -> str | None:
    """Return the address of a model server as it came; a callback, which runs before the command does anything.

    Raises:
        InputError: it is not of the form HOST:PORT or unix:PATH.
    """
    if address is not None:
        from serving.client.connection import check_address

        check_address(address)
    return address


def file_options(command: Callable) -> Callable:
    """Add the options that say how to read files."""
    options = (
        click.option(
            "--map",
            "pairs",
            multiple=True,
            metavar="OURS=THEIRS",
            help="Read our column OURS from the column THEIRS: ts=time, in one table events.event_id=id; "
            "or read a value: action.click=play. Repeatable.",
        ),
        click.option("--separator", metavar="TEXT", help="Separator of text files.  [default: told from each file]"),
        click.option("--encoding", metavar="NAME", help="Encoding of text files that are neither UTF-8 nor UTF-16."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def mapping_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """Parse the values of --map: `("ts=time",)` becomes `{"ts": "time"}`."""
    for pair in pairs:
        if not all(pair.partition("=")):
            raise click.BadParameter(f"{pair!r} is not OURS=THEIRS, such as ts=time.", param_hint="--map")
    repeated = [ours for ours, count in Counter(pair.partition("=")[0] for pair in pairs).items() if count > 1]
    if repeated:
        raise click.BadParameter(f"{repeated[0]!r} is mapped twice.", param_hint="--map")
    return {ours: theirs for ours, _, theirs in (pair.partition("=") for pair in pairs)}
