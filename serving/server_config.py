"""The configuration of a model server."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serving.api.handlers import Rules
from serving.protocol import config_files
from serving.protocol.config_files import ModelConfig, TlsConfig
from serving.server.batching_parameters import BatchingParameters
from serving.server.label_rules import LABELS_FOLLOW
from serving.server.loader import Parallelism
from serving.server.manager import Retries
from serving.store.own_paths import read_config


@dataclass(frozen=True)
class ServerConfig:
    """The models that a server serves, the addresses that it listens on, and how it answers.

    The models come from `model_config_file`, or from `models` if there is no file.

    Attributes:
        model_config_file: a text proto of ModelServerConfig.
        models: the models, if there is no file.
        host: the address to listen on, for gRPC and REST.
        port: the port for gRPC; 0 takes a free port, None listens on no port.
        grpc_socket_path: the path of a UNIX socket for gRPC, beside or instead of the port; empty for no socket.
        rest_port: the port for REST; 0 takes a free port, None serves no REST.
        rest_timeout_seconds: how long a REST call may take; 0 is no limit.
        rest_cors: whether REST answers carry CORS headers, for browsers of other origins.
        metrics_path: the URL path of the metrics in REST; None serves no metrics.
        tls: keys and certificates for gRPC; None serves gRPC without encryption.
        grpc_channel_arguments: further options of the gRPC server.
        health: whether grpc.health.v1 is served.
        file_system_poll_wait_seconds: seconds between two searches for versions; 0 or less searches at the start only.
        model_config_file_poll_wait_seconds: seconds between two readings of the file; 0 or less reads it once.
        retries: how often a version that failed to load is tried again.
        labels: when a label may name a version that is not loaded; a constant of `serving.server.label_rules`.
        warmup_iterations: how often each warm-up request of a version is run; 0 skips the warm-up.
        batching: the parameters of batching; None runs each request alone.
        parallelism: TensorFlow's threads for each model.
        tags: the tags of the graph to load from a SavedModel.
        rules: how requests are checked and answered.
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
        """Read the model config file, and return its models; without a file, return `models`.

        Raises:
            InputError: the file cannot be read or parsed.
        """
        if self.model_config_file is None:
            return list(self.models)
        path = self.model_config_file
        return config_files.parse_config(read_config(path, "model config file"), str(path))
