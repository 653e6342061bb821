"""TF Serving's configuration files, e.g. `models.config` with the models to serve and their versions and labels.

The files are text protos of TF Serving's own messages, so that `tensorflow_model_server` and this server can read
the same files. This module does not import TensorFlow.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from segue.errors import InputError
from serving.protocol import text_protos

PLATFORM = "tensorflow"
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # a model's name in our store, which is also its folder's name
VERSION = re.compile(r"0|[1-9][0-9]{0,17}")  # the name of a version's folder; folders of other names are ignored
PEM = "-----BEGIN "
INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True)
class TlsConfig:
    """The keys of the gRPC server, and whether its clients must have a certificate too.

    Attributes:
        server_key: the private key, PEM.
        server_cert: the certificate chain, PEM.
        custom_ca: the certificates of the authorities that sign clients' certificates, PEM; empty for none.
        client_verify: refuse clients without a certificate signed by an authority in `custom_ca`.
    """

    server_key: str = field(repr=False)
    server_cert: str = field(repr=False)
    custom_ca: str = ""
    client_verify: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve.

    Attributes:
        name: the name that clients send as `ModelSpec.name`.
        base_path: the folder that contains one folder for each version, named by the version's number.
        policy: `latest`, `all` or `specific`, the choice of the versions to load.
        num_latest: the number of versions that `latest` loads.
        specific: the versions that `specific` loads.
        labels: label -> version; a labelled version is loaded under every policy.
        logging_config: the `tensorflow.serving.LoggingConfig` of the model's request log; None for no log.
    """

    name: str
    base_path: Path
    policy: str = "latest"
    num_latest: int = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    logging_config: Any = None

    def wanted(self, available: Iterable[int]) -> set[int]:
        """The versions to load, out of those that are available in the base path."""
        available = set(available)
        if self.policy == "all":
            chosen = available
        elif self.policy == "specific":
            chosen = available & set(self.specific)
        else:
            chosen = set(sorted(available)[-self.num_latest :])
        return chosen | (available & set(self.labels.values()))


def render_config(
    models: Mapping[str, Mapping[str, int]],
    base: str,
    standby: Mapping[str, Iterable[int]] | None = None,
) -> str:
    """The text of a `models.config` that loads exactly the labelled versions.

    The policy is `specific`, not `latest`, so that a version without a label never answers requests that name no
    version. With `latest`, two models that belong together would change one after the other, as they are copied.

    Args:
        models: model name -> label -> version.
        base: the path of the model store on the server's machine, e.g. `/models` in the cluster.
        standby: model name -> further versions to keep loaded, so that a label can move to them at once.

    Returns:
        The text proto of a `tensorflow.serving.ModelServerConfig`.
    """
    message = model_server_config_pb2.ModelServerConfig()
    message.model_config_list.SetInParent()
    for name in sorted(models):
        labels = models[name]
        entry = message.model_config_list.config.add(
            name=name, base_path=f"{base.rstrip('/')}/{name}", model_platform=PLATFORM
        )
        versions = set(labels.values()) | set((standby or {}).get(name, ()))
        entry.model_version_policy.specific.versions.extend(sorted(versions))
        for label in sorted(labels):
            entry.version_labels[label] = labels[label]
    return text_format.MessageToString(message)


def parse_config(text: str, source: str = "models.config") -> list[ModelConfig]:
    """The models in a `ModelServerConfig` text proto.

    Args:
        text: the text proto.
        source: the file's name, for errors.

    Raises:
        InputError: the text does not parse, or breaks a rule of TF Serving.
    """
    fix = "Correct the line; `segue models list` shows how the store writes it."
    message = text_protos.parse(text, model_server_config_pb2.ModelServerConfig(), source, fix)
    try:
        return models_of(message)
    except InputError as error:
        raise InputError(f"{source}: {error.headline}", error.fix) from error


def models_of(message: Any) -> list[ModelConfig]:
    """The checked models of a `ModelServerConfig` message; an empty message has none.

    Raises:
        InputError: the message breaks a rule of TF Serving. The headline is the text that TF Serving sends with
            INVALID_ARGUMENT.
    """
    if message.WhichOneof("config") == "custom_model_config":
        raise InputError("ModelServer does not yet support custom model config.", "Use model_config_list.")
    entries = message.model_config_list.config
    for name, times in Counter(entry.name for entry in entries).items():
        if times > 1:
            raise InputError(f"Illegal to list model {name} multiple times in config list", "Keep one of the entries.")
    return [_model_config(entry) for entry in entries]


def _model_config(entry: Any) -> ModelConfig:
    """One checked entry of a `ModelConfigList`."""
    if not entry.name:
        raise InputError("Every model in a model config has a name. One entry has none.", "Add its name.")
    if not entry.base_path.startswith("/"):
        raise InputError(
            f"Expected model {entry.name} to have an absolute path or URI; got base_path()={entry.base_path}"
            if "://" not in entry.base_path
            else f"This server reads models from local folders. Model {entry.name} has base_path()={entry.base_path}",
            "Write the absolute path of the folder that contains the model's versions.",
        )
    if "\0" in entry.base_path:
        raise InputError(
            f"A path cannot contain a NUL. The base_path of model {entry.name} does.", "Correct the base_path."
        )
    _check_platform(entry)
    policy = entry.model_version_policy
    policy_name = policy.WhichOneof("policy_choice") or "latest"
    if policy_name == "specific" and not policy.specific.versions:
        raise InputError(
            f"A specific version policy needs at least one version. That of model {entry.name!r} has none.",
            "Add a version.",
        )
    return ModelConfig(
        name=entry.name,
        base_path=Path(entry.base_path),
        policy=policy_name,
        num_latest=max(policy.latest.num_versions, 1),
        specific=tuple(policy.specific.versions),
        labels=dict(entry.version_labels),
        logging_config=entry.logging_config if entry.HasField("logging_config") else None,
    )


def _check_platform(entry: Any) -> None:
    """Apply TF Serving's rules for `model_platform` and its deprecated predecessor `model_type`."""
    fix = f'Write model_platform: "{PLATFORM}" for model {entry.name!r}, and no model_type.'
    model_type, platform = entry.model_type, entry.model_platform
    type_field = "ModelServerConfig::model_type (deprecated)"
    if model_type and platform:
        raise InputError(f"Illegal setting both {type_field} and ModelServerConfig::model_platform.", fix)
    if model_type not in (model_server_config_pb2.MODEL_TYPE_UNSPECIFIED, model_server_config_pb2.TENSORFLOW):
        raise InputError(f"ModelServerConfig::model_type choice {model_type} not supported.", fix)
    if not model_type and not platform:
        raise InputError(f"Illegal setting neither {type_field} nor ModelServerConfig::model_platform.", fix)
    if platform not in ("", PLATFORM):
        raise InputError(f"Model {entry.name} requests unsupported platform {platform}", fix)


def parse_monitoring_config(text: str, source: str) -> dict[str, Any]:
    """The Prometheus settings of a `MonitoringConfig` text proto.

    Args:
        text: the text proto, e.g. `prometheus_config { enable: true path: "/metrics" }`.
        source: the file's name, for errors.

    Returns:
        `enable` (bool) and `path` (str; TF Serving's default if the text has no path).

    Raises:
        InputError: the text does not parse.
    """
    fix = 'Write, for example: prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }'
    prometheus = text_protos.parse(text, text_protos.new("MonitoringConfig"), source, fix).prometheus_config
    return {"enable": prometheus.enable, "path": prometheus.path or "/monitoring/prometheus/metrics"}


def parse_ssl_config(text: str, source: str) -> TlsConfig:
    """The keys of an `SSLConfig` text proto.

    Args:
        text: the text proto: `server_key`, `server_cert`, `custom_ca` (PEM texts) and `client_verify`.
        source: the file's name, for errors.

    Raises:
        InputError: the text does not parse; a key is missing or not a PEM text; or `client_verify` is set without
            a `custom_ca`.
    """
    message = text_protos.parse(
        text, text_protos.new("SSLConfig"), source, 'Write, for example: server_key: "-----BEGIN PRIVATE KEY-----..."'
    )
    for name in ("server_key", "server_cert", *(["custom_ca"] if message.custom_ca or message.client_verify else [])):
        if PEM not in getattr(message, name):
            raise InputError(
                f"{name} of an SSLConfig must be a PEM text, not a path. {source} has no PEM text there.",
                f'Paste the text of the PEM file, with \\n at the end of each line: {name}: "{PEM}...".',
            )
    return TlsConfig(message.server_key, message.server_cert, message.custom_ca, message.client_verify)


def parse_channel_arguments(text: str) -> tuple[tuple[str, str | int], ...]:
    """The settings in a text such as `grpc.max_connection_age_ms=2000,grpc.lb_policy_name=x`.

    Returns:
        (key, value) pairs; a value that is a 32-bit integer is an int, other values are texts.

    Raises:
        InputError: an entry is not of the form `key=value`.
    """
    arguments: list[tuple[str, str | int]] = []
    for entry in filter(None, text.split(",")):
        key, equals, value = entry.partition("=")
        if not key or not equals:
            raise InputError(
                f"gRPC channel arguments are key=value pairs, separated by commas. Received {entry!r}.",
                "Write, for example: grpc.max_connection_age_ms=2000",
            )
        is_number = re.fullmatch(r"-?\d{1,10}", value, re.ASCII) and int(value) in INT32
        arguments.append((key, int(value) if is_number else value))
    return tuple(arguments)


def read_text(path: Path, purpose: str) -> str:
    """The text of a configuration file.

    Args:
        path: the file.
        purpose: the file's purpose, for errors, e.g. `SSL config`.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The {purpose} {path} cannot be read: {error}.", "Check the path.") from error
