"""`segue serve`: the model server, with TF Serving's flag names."""

import logging
import signal
from pathlib import Path

import click

from segue.errors import InputError
from segue.settings import Home

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--port", default=8500, show_default=True, help="Port for gRPC; 0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--model_config_file", type=FILE, help="Text proto of ModelServerConfig.")
@click.option(
    "--model_config_file_poll_wait_seconds",
    type=float,
    help="Seconds between two readings of the model config; 0: never again. "
    "[default: 0; 1 for the project's own model store]",
)
@click.option(
    "--file_system_poll_wait_seconds",
    type=float,
    default=1.0,
    show_default=True,
    help="Seconds between two looks for new versions; 0: only one at the start.",
)
@click.option("--model_name", default="default", show_default=True, help="Name of the one model to serve.")
@click.option("--model_base_path", type=FOLDER, help="Folder of the one model's versions.")
@click.option("--monitoring_config_file", type=FILE, help="Text proto of MonitoringConfig.")
@click.option("--tensorflow_intra_op_parallelism", default=0, help="Threads within an operation; 0: automatic.")
@click.option("--tensorflow_inter_op_parallelism", default=0, help="Operations at once; 0: automatic.")
def serve(
    port: int,
    host: str,
    model_config_file: Path | None,
    model_config_file_poll_wait_seconds: float | None,
    file_system_poll_wait_seconds: float,
    model_name: str,
    model_base_path: Path | None,
    monitoring_config_file: Path | None,
    tensorflow_intra_op_parallelism: int,
    tensorflow_inter_op_parallelism: int,
) -> None:
    """Serve models over TF Serving's gRPC protocol until SIGTERM or SIGINT.

    Without --model_config_file and --model_base_path it serves the project's own model store and follows it.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    log = logging.getLogger("segue.serving")
    # It warns of the TF1 loader at every load; that loader is our choice.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if model_config_file and model_base_path:
        raise InputError(
            "The models come from --model_config_file or from --model_base_path. Received both.",
            "Leave one out.",
        )
    own_store = not model_config_file and not model_base_path
    if own_store:
        model_config_file = Home.from_env().models / "models.config"
        if not model_config_file.is_file():
            raise InputError(
                f"There is no model to serve: {model_config_file} does not exist.",
                "Run `segue run training`, or give --model_config_file or --model_base_path.",
            )

    from serving import config

    if monitoring_config_file:
        text = config.read_text(monitoring_config_file, "monitoring config file")
        if config.parse_monitoring_config(text, str(monitoring_config_file))["enable"]:
            log.warning("Prometheus metrics are served over REST, which this server does not have yet")
    models = []
    if model_base_path:
        models = [config.ModelConfig(model_name, model_base_path.resolve())]

    from serving.loader import Parallelism
    from serving.server import ModelServer, ServerConfig

    if model_config_file_poll_wait_seconds is None:
        model_config_file_poll_wait_seconds = 1.0 if own_store else 0.0
    server = ModelServer(
        ServerConfig(
            model_config_file=model_config_file,
            models=models,
            host=host,
            port=port,
            file_system_poll_wait_seconds=file_system_poll_wait_seconds,
            model_config_file_poll_wait_seconds=model_config_file_poll_wait_seconds,
            parallelism=Parallelism(tensorflow_intra_op_parallelism, tensorflow_inter_op_parallelism),
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.request_stop())
    with server:
        click.echo(f"serving at {server.address}")
        server.wait()
