"""Output of commands: tables for people, JSON for programs."""

from collections.abc import Callable, Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from segue.files import json_text
from segue.terminal import visible

NARROWEST = 7  # characters of a column with its padding and border

json_option: Callable = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout."""
    click.echo(json_text(value))


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print rows as a table under a title; floats have four decimals.

    All texts are data: brackets and emoji codes are printed as they are, and control characters are made visible. On a
    narrow terminal long words are folded, and the table is wider than a terminal of a few columns: no cell is cut.
    """
    table = Table()
    for column in columns:
        table.add_column(Text(visible(column)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell_text(cell))) for cell in row))
    console = Console()
    console.width = max(console.width, NARROWEST * len(table.columns) + 1)
    console.print(Text(visible(title), "bold"))  # a title of the table itself would be broken at the table's width
    console.print(table)


def cell_text(cell: Any) -> str:
    """Format a cell of a table; floats have four decimals."""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
