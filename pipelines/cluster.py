"""Compile the pipelines for Kubeflow and submit them. They are the same pipelines that run on one machine."""

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines import PIPELINES, load
from segue.errors import InputError, UnavailableError
from segue.files import write_text


def compile_all(out: Path) -> list[Path]:
    """Compile every pipeline to `out/<name>.yaml`. Each file is written atomically."""
    return [compile_one(name, out) for name in PIPELINES]


def compile_one(name: str, out: Path) -> Path:
    """Compile one pipeline; it is the one that runs on this machine."""
    from kfp import compiler

    target = out / f"{name}.yaml"
    with TemporaryDirectory() as folder:
        package = Path(folder) / target.name
        compiler.Compiler().compile(load(PIPELINES[name]), str(package))
        write_text(target, package.read_text(encoding="utf-8"))
    return target


def submit(name: str, config: dict[str, Any], started: datetime, host: str | None) -> str:
    """Start a run on Kubeflow Pipelines.

    Args:
        name: `training`, `monitoring` or `search`.
        config: the pipeline's configuration.
        started: the time of the start, which names the run.
        host: the address of the API.

    Returns:
        The id that Kubeflow gives to the run.

    Raises:
        InputError: `host` is missing.
        UnavailableError: the API does not answer, or refuses the run.
    """
    if not host:
        raise InputError("--on kfp needs the address of Kubeflow Pipelines.", "Add --host http://HOST:PORT.")
    import kfp

    with TemporaryDirectory() as folder:
        package = compile_one(name, Path(folder))
        try:
            run = kfp.Client(host=host).create_run_from_pipeline_package(
                str(package),
                run_name=f"{name}-{started:%Y%m%dT%H%M%S}",
                arguments={"config": config},
                enable_caching=False,
            )
        except Exception as error:  # the client raises whatever its transport raises
            raise UnavailableError(
                f"Kubeflow Pipelines at {host} did not accept the run: {error}.",
                "Check the address and the port-forward.",
            ) from error
    return run.run_id
