"""`segue up`: the model server, the gateway and the player's pages by one command."""

import click

from cli.quiet import quiet_libraries
from segue.terminal import say


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8700, show_default=True,
    help="The port of the pages; if it is taken, the next free one.",
)  # fmt: skip
@click.option("--read-only", is_flag=True, help="Refuse plays, skips and likes, and record nothing that is shown.")
def up(port: int, read_only: bool) -> None:
    """Open the player on this machine's models until Ctrl-C, SIGTERM or a closed terminal, which stop all of it.

    It runs the model server, and the gateway with the player's pages, on loopback. A model server that dies is started
    again. The pages link to MLflow, which starts when it is first opened. The output of the servers is in the folder
    `up` of the home.
    """
    import warnings

    from stores.parts import DATA, MODELS, SURFACES, home_with
    from stores.settings import settings

    home = home_with(DATA, MODELS, SURFACES)
    warnings.simplefilter("ignore")  # Feast and Ibis warn about their own dependencies
    with quiet_libraries():
        from workloads.up.up import up as run

    run(home, settings(), port, read_only, say)
