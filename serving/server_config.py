"""What a model server serves, where and how."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serving.api.handlers import Rules
from serving.protocol import config_files as config
from serving.protocol.config_files import ModelConfig, TlsConfig
from serving.server.batching import BatchingParameters
from serving.server.loader import Parallelism
from serving.server.manager import LABELS_FOLLOW, Retries


@dataclass(frozen=True)
class ServerConfig:
    """What to serve, where and how. Give a `model_config_file`, or `models`.

    Attributes:
        model_config_file: a text proto of ModelServerConfig.
        models: the models themselves, where there is no file.
        host: the address to listen on.
        port: the port for gRPC; 0 takes a free one, None listens on no port.
        grpc_socket_path: a UNIX socket to listen on as well.
        rest_port: the port for REST; 0 takes a free one, None serves no REST.
        rest_timeout_seconds: how long a REST call may take; 0: as long as it likes.
        rest_cors: answer browsers of other origins.
        metrics_path: where REST serves the metrics; None: nowhere.
        tls: keys and certificates for gRPC.
        grpc_channel_arguments: further options of the gRPC server.
        health: serve grpc.health.v1.
        file_system_poll_wait_seconds: how often to look for versions; 0 or less: only once, at the start.
        model_config_file_poll_wait_seconds: how often to read the file again; 0 or less: never.
        retries: how often a version that does not load is tried again.
        labels: when a label may name a version that is not loaded; see `serving.server.manager`.
        warmup_iterations: how often each warm-up request of a version is run; 0: not at all.
        batching: how to batch; None: not at all.
        parallelism: TensorFlow's threads for each model.
        tags: which of a SavedModel's graphs to load.
        rules: how requests are answered.
    """

    model_config_file: Path | None = None
    models: Sequence[ModelConfig] = ()
    host: str = "127.0.0.1"
    port: int | None = 0
    grpc_socket_path: str = ""
    rest_port: int | None = None
    rest_timeout_seconds: float = 30.0
    rest_cors: bool = False
    metrics_path: str | None = None
    tls: TlsConfig | None = None
    grpc_channel_arguments: Sequence[tuple[str, str | int]] = ()
    health: bool = False
    file_system_poll_wait_seconds: float = 1.0
    model_config_file_poll_wait_seconds: float = 0.0
    retries: Retries = field(default_factory=Retries)
    labels: str = LABELS_FOLLOW
    warmup_iterations: int = 1
    batching: BatchingParameters | None = None
    parallelism: Parallelism = field(default_factory=Parallelism)
    tags: Sequence[str] = ("serve",)
    rules: Rules = field(default_factory=Rules)

    def read_models(self) -> list[ModelConfig]:
        """The models to serve, read anew.

        Raises:
            InputError: the file cannot be read or parsed.
        """
        if self.model_config_file is None:
            return list(self.models)
        path = self.model_config_file
        return config.parse_config(config.read_text(path, "model config file"), str(path))
