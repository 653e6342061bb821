"""`segue up`: the model server, the gateway, the player and the operator's page by one command."""

import click

from cli.quiet import quiet_libraries
from segue.terminal import say


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8700, show_default=True,
    help="The port of the pages; if it is taken, the next free one.",
)  # fmt: skip
@click.option(
    "--read-only",
    is_flag=True,
    help="Refuse plays, skips, likes and an operator's decisions, and record nothing that is shown.",
)
def up(port: int, read_only: bool) -> None:
    """Open the player and the operator's page until Ctrl-C, SIGTERM or a closed terminal, which stop all of it.

    The model server and the gateway listen on loopback. A model server that dies is started again. The operator's page
    shows the state of the loop; there one may promote, roll back and train. MLflow's and Evidently's pages start when
    their links are first opened. A home without pushed models has the operator's page alone. The servers write their
    output to the folder `up` of the home.
    """
    import warnings

    from pipelines.run_state import state
    from rollout import label_decisions
    from stores.parts import DATA, EXPERIMENTS, MODELS, REPORTS, SURFACES, home_with
    from stores.settings import settings

    home = home_with(DATA, EXPERIMENTS, MODELS, REPORTS, SURFACES)
    warnings.simplefilter("ignore")  # Feast and Ibis warn about their own dependencies
    with quiet_libraries():
        from workloads.up.up import up as run

    run(home, settings(), port, read_only, state, label_decisions, say)
