"""An option of one value that is given twice is refused, in every command."""

import click
import pytest

from cli import COMMANDS, cli
from cli.options import refuse_repeats
from segue.errors import InputError


def commands(group: click.Group, path: tuple[str, ...] = ()):
    """Every command below a group, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


CALLS = [
    pytest.param((*path, option.opts[0], "1", option.opts[0], "1"), option.opts[0], id=" ".join((*path, option.name)))
    for path, command in commands(cli)
    for option in command.params
    if isinstance(option, click.Option) and not (option.multiple or option.is_flag or option.is_eager)
]


def test_commands_with_options_are_tried():
    assert {call.values[0][0] for call in CALLS} >= {"data", "run", "serve", "recommend", "models"} <= set(COMMANDS)


@pytest.mark.parametrize(("arguments", "option"), CALLS)
def test_an_option_given_twice_is_refused(arguments, option):
    with pytest.raises(InputError, match=f"`{option}` takes one value; it is given 2 times"):
        cli(arguments, standalone_mode=False)


@click.command()
@click.option("-k", "--count")
@click.option("--name", multiple=True)
@click.option("--fast/--slow")
def example(count, name, fast):
    return count, name, fast


@pytest.mark.parametrize("arguments", [["-k", "1", "--count=2"], ["-k1", "-k2"], ["--fast", "--slow"]], ids=str)
def test_spellings_of_one_option_count_together(arguments):
    with pytest.raises(InputError, match="is given 2 times"):
        refuse_repeats(example)(arguments, standalone_mode=False)


def test_an_option_of_several_values_and_a_value_that_looks_like_an_option_are_taken():
    arguments = ["--name", "a", "--name", "b", "--count", "--name"]
    assert refuse_repeats(example)(arguments, standalone_mode=False) == ("--name", ("a", "b"), False)
