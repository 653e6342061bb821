"""Turn TF Serving's flags into the configuration of the server, with TF Serving's start-up errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from segue.errors import InputError
from serving.protocol import config_files
from serving.protocol.config_files import ModelConfig, TlsConfig
from serving.server.batching_parameters import BatchingParameters, parse_batching_parameters

if TYPE_CHECKING:
    from serving.server_config import ServerConfig


def server_config(flags: Mapping[str, Any], own_config: Path) -> tuple["ServerConfig", list[str]]:
    """The configuration that the flags ask for.

    Args:
        flags: flag name -> value, for every flag that has an effect on this server.
        own_config: `models.config` of the project's own model store, which is served if the flags name no model.

    Returns:
        The configuration, and warnings of one line each.

    Raises:
        InputError: the flags contradict each other, or a file that they name is missing or invalid.
    """
    warnings: list[str] = []
    if not flags["port"] and not flags["grpc_socket_path"]:
        raise InputError(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set.",
            "Give --port or --grpc_socket_path.",
        )
    tls = _tls(flags)
    model_config_file, models, own_store = _models(flags, own_config, warnings)
    batching = _batching(flags)
    intra_op, inter_op = _parallelism(flags)
    rest_port = _rest_port(flags, warnings)
    metrics_path = _metrics_path(flags, rest_port, warnings)
    channel_arguments = config_files.parse_channel_arguments(flags["grpc_channel_arguments"])
    rest_timeout = flags["rest_api_timeout_in_ms"]
    poll = flags["model_config_file_poll_wait_seconds"]

    # These import TensorFlow, which takes seconds. They come last so that a wrong flag is refused at once.
    from serving.api.handlers import Rules
    from serving.server.label_rules import LABELS_AVAILABLE, LABELS_FOLLOW, LABELS_UNUSED
    from serving.server.loader import Parallelism
    from serving.server.manager import Retries
    from serving.server_config import ServerConfig

    labels = LABELS_UNUSED if flags["allow_version_labels_for_unavailable_models"] else LABELS_AVAILABLE

    settings = ServerConfig(
        model_config_file=model_config_file,
        models=models,
        host=flags["host"],
        port=flags["port"] or None,
        grpc_socket_path=flags["grpc_socket_path"],
        rest_port=rest_port,
        rest_timeout_seconds=max(rest_timeout, 0) / 1000,
        rest_cors=flags["rest_api_enable_cors_support"],
        metrics_path=metrics_path,
        tls=tls,
        grpc_channel_arguments=channel_arguments,
        health=flags["enable_grpc_healthcheck_service"],
        file_system_poll_wait_seconds=flags["file_system_poll_wait_seconds"],
        model_config_file_poll_wait_seconds=(1.0 if own_store else 0.0) if poll is None else poll,
        retries=Retries(flags["max_num_load_retries"], max(flags["load_retry_interval_micros"], 0) / 1e6),
        labels=LABELS_FOLLOW if own_store else labels,
        warmup_iterations=max(flags["num_request_iterations_for_warmup"], 1) if flags["enable_model_warmup"] else 0,
        batching=batching,
        parallelism=Parallelism(intra_op, inter_op),
        tags=tuple(filter(None, flags["saved_model_tags"].split(","))),
        rules=Rules(flags["enable_signature_method_name_check"], flags["enable_serialization_as_tensor_content"]),
    )
    return settings, warnings


def _models(
    flags: Mapping[str, Any], own_config: Path, warnings: list[str]
) -> tuple[Path | None, list[ModelConfig], bool]:
    """The model config file (None if there is none), the models given by flags, and whether the own store is served."""
    if flags["model_config_file"]:
        if flags["model_base_path"]:
            warnings.append("--model_base_path has no effect: --model_config_file takes precedence")
        return Path(flags["model_config_file"]), [], False
    if not flags["model_base_path"]:
        if not own_config.is_file():
            raise InputError(
                "Both server_options.model_base_path and server_options.model_config_file are empty! "
                f"There is no model store of the project to serve instead: {own_config} does not exist.",
                "Run `segue run training`, or give --model_config_file or --model_base_path.",
            )
        return own_config, [], True
    base = flags["model_base_path"]
    message = ModelServerConfig()
    message.model_config_list.config.add(
        name=flags["model_name"],
        base_path=base if "://" in base else str(Path(base).resolve()),
        model_platform=config_files.PLATFORM,
    )
    return None, config_files.models_of(message), False


def _tls(flags: Mapping[str, Any]) -> TlsConfig | None:
    path = flags["ssl_config_file"]
    if flags["use_alts_credentials"]:
        if path:
            raise InputError(
                "Either use_alts_credentials must be false or ssl_config_file must be empty.",
                "Leave --use_alts_credentials out.",
            )
        raise InputError(
            "--use_alts_credentials asks for Google's ALTS, which this server does not have. "
            "It does not start without encryption instead.",
            "Use --ssl_config_file.",
        )
    return config_files.parse_ssl_config(config_files.read_text(Path(path), "SSL config file"), path) if path else None


def _batching(flags: Mapping[str, Any]) -> BatchingParameters | None:
    path = flags["batching_parameters_file"]
    if not flags["enable_batching"]:
        if path:
            raise InputError(
                "server_options.batching_parameters_file is set without setting server_options.enable_batching "
                "to true.",
                "Add --enable_batching.",
            )
        return None
    if not path:
        return BatchingParameters()
    return parse_batching_parameters(config_files.read_text(Path(path), "batching parameters file"), path)


def _parallelism(flags: Mapping[str, Any]) -> tuple[int, int]:
    """The number of threads within an operation, and of operations at the same time; 0 is automatic."""
    both = flags["tensorflow_session_parallelism"]
    intra, inter = flags["tensorflow_intra_op_parallelism"], flags["tensorflow_inter_op_parallelism"]
    if both and intra and inter:
        raise InputError(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all.",
            "Leave --tensorflow_session_parallelism out.",
        )
    return intra or both, inter or both


def _rest_port(flags: Mapping[str, Any], warnings: list[str]) -> int | None:
    port = flags["rest_api_port"]
    if port and port == flags["port"]:
        warnings.append(
            "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST API. "
            "Skipped exporting HTTP/REST API."
        )
        return None
    return port or None


def _metrics_path(flags: Mapping[str, Any], rest_port: int | None, warnings: list[str]) -> str | None:
    source = flags["monitoring_config_file"]
    if not source:
        return None
    monitoring = config_files.parse_monitoring_config(
        config_files.read_text(Path(source), "monitoring config file"), source
    )
    if not monitoring["enable"]:
        return None
    if rest_port is None:
        warnings.append("--monitoring_config_file has no effect without --rest_api_port: metrics are served over REST")
    return monitoring["path"]
