"""Where the runs of a command are: on this machine, or on Kubeflow Pipelines."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from segue.errors import InputError

if TYPE_CHECKING:
    from pipelines.kubeflow.preflight import Installation
    from stores.settings import Settings

KFP = "kfp"
ON = click.Choice(["local", KFP])


def place_options(command: Callable) -> Callable:
    """Add the options --on and --host."""
    on = click.option("--on", type=ON, default="local", show_default=True, help="Where the pipeline runs.")
    return on(host_option(command))


def host_option(command: Callable) -> Callable:
    """Add the option --host."""
    return click.option(
        "--host", metavar="URL", help="The address of Kubeflow Pipelines, over the setting `kubeflow`."
    )(command)


def require_kfp(on: str, host: str | None) -> None:
    """Refuse the address of a cluster for a run on this machine.

    Raises:
        InputError: there is one.
    """
    if host is not None and on != KFP:
        raise InputError(
            f"--host names Kubeflow Pipelines, and this run is on this machine. Received --host {host}.",
            "Add --on kfp, or leave --host out.",
        )


def cluster(host: str | None) -> "tuple[Settings, Installation]":
    """Return the settings and the installation that a command is for.

    Raises:
        InputError: the profile is not `cluster`, the address is missing or wrong, or the API refuses.
        UnavailableError: the API does not answer.
    """
    from pipelines.kubeflow.preflight import installation, require_cluster
    from stores.settings import address, settings

    now = settings()
    if host is not None:
        try:
            address("http://localhost:8080", "http", "https")(host)
        except ValueError as error:
            raise InputError(f"--host must {error}. Received {host!r}.", "Correct it.") from None
        now = now.model_copy(update={"kubeflow": host})
    require_cluster(now)
    return now, installation(now)
