"""Checks the option --server of a command before the command does anything."""

import click


def checked_address(context: click.Context, parameter: click.Parameter, address: str | None) -> str | None:
    """Return the address of a model server as it came.

    Raises:
        InputError: it is not of the form HOST:PORT or unix:PATH.
    """
    if address is not None:
        from serving.client.connection import check_address

        check_address(address)
    return address
