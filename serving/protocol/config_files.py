"""TF Serving's configuration files: which models to serve, which versions and labels of each.

Both files are text protos, so that `tensorflow_model_server` reads what we write and we read what it reads.
Nothing here imports TensorFlow.
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
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # in our store, where it is a folder too
VERSION = re.compile(r"0|[1-9][0-9]{0,17}")  # a version's folder; other names are not versions
PEM = "-----BEGIN "
INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True)
class TlsConfig:
    """How the gRPC server proves who it is, and whether its clients must.

    Attributes:
        server_key: the private key, PEM.
        server_cert: the certificate chain, PEM.
        custom_ca: the certificates that sign clients', PEM; empty for none.
        client_verify: refuse clients without a certificate that `custom_ca` signed.
    """

    server_key: str = field(repr=False)
    server_cert: str = field(repr=False)
    custom_ca: str = ""
    client_verify: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """One model to serve.

    Attributes:
        name: what clients put into `ModelSpec.name`.
        base_path: the folder that holds one folder a version, named by its integer.
        policy: `latest`, `all` or `specific`: which versions to load.
        num_latest: how many versions `latest` loads.
        specific: the versions that `specific` loads.
        labels: label -> version; a labelled version is loaded whatever the policy says.
        logging_config: the `tensorflow.serving.LoggingConfig` that says which requests to log; None: none.
    """

    name: str
    base_path: Path
    policy: str = "latest"
    num_latest: int = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    logging_config: Any = None

    def wanted(self, found: Iterable[int]) -> set[int]:
        """The versions to have loaded, out of those `found` in the base path."""
        found = set(found)
        if self.policy == "all":
            chosen = found
        elif self.policy == "specific":
            chosen = found & set(self.specific)
        else:
            chosen = set(sorted(found)[-self.num_latest :])
        return chosen | (found & set(self.labels.values()))


def render_config(
    models: Mapping[str, Mapping[str, int]],
    base: str,
    standby: Mapping[str, Iterable[int]] | None = None,
) -> str:
    """A `models.config` in which exactly the labelled versions are loaded.

    The policy is `specific`, not `latest`: a version that was copied but not labelled yet must not answer
    requests that name no version, or two models that belong together would change one after the other.

    Args:
        models: model name -> label -> version.
        base: the folder of the model store as the server sees it, e.g. `/models` in the cluster.
        standby: model name -> further versions to keep loaded, so that labels move to them without a wait.

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
    """The models that a `ModelServerConfig` text proto lists.

    Args:
        text: the text proto.
        source: the file's name, for errors.

    Raises:
        InputError: the text does not parse, or breaks one of TF Serving's rules.
    """
    fix = "Correct the line; `segue models list` shows how the store writes it."
    message = text_protos.parse(text, model_server_config_pb2.ModelServerConfig(), source, fix)
    try:
        return models_of(message)
    except InputError as error:
        raise InputError(f"{source}: {error.headline}", error.fix) from error


def models_of(message: Any) -> list[ModelConfig]:
    """The checked models of a `ModelServerConfig` message; none if it is empty.

    Raises:
        InputError: it breaks one of TF Serving's rules; the headline is TF Serving's text, which it sends
            with INVALID_ARGUMENT.
    """
    if message.WhichOneof("config") == "custom_model_config":
        raise InputError(
            "ModelServer does not yet support custom model config.", "This server knows model_config_list only."
        )
    entries = message.model_config_list.config
    for name, times in Counter(entry.name for entry in entries).items():
        if times > 1:
            raise InputError(f"Illegal to list model {name} multiple times in config list", "Keep one of the entries.")
    return [_model_config(entry) for entry in entries]


def _model_config(entry: Any) -> ModelConfig:
    """One checked entry of a `ModelConfigList`."""
    if not entry.name:
        raise InputError("Every model in a model config has a name; an entry has none.", "Name it.")
    if not entry.base_path.startswith("/"):
        raise InputError(
            f"Expected model {entry.name} to have an absolute path or URI; got base_path()={entry.base_path}"
            if "://" not in entry.base_path
            else f"This server reads models from local folders. Model {entry.name} has base_path()={entry.base_path}",
            "Write the whole path of the folder that holds the model's versions.",
        )
    if "\0" in entry.base_path:
        raise InputError(f"A path holds no NUL; that of model {entry.name} does.", "Correct its base_path.")
    _check_platform(entry)
    policy = entry.model_version_policy
    kind = policy.WhichOneof("policy_choice") or "latest"
    if kind == "specific" and not policy.specific.versions:
        raise InputError(
            f"A specific version policy lists at least one version; model {entry.name!r} has none.", "Add versions."
        )
    return ModelConfig(
        name=entry.name,
        base_path=Path(entry.base_path),
        policy=kind,
        num_latest=max(policy.latest.num_versions, 1),
        specific=tuple(policy.specific.versions),
        labels=dict(entry.version_labels),
        logging_config=entry.logging_config if entry.HasField("logging_config") else None,
    )


def _check_platform(entry: Any) -> None:
    """TF Serving's rules for `model_platform` and its deprecated twin `model_type`."""
    fix = f'The platform of model {entry.name!r} is given by model_platform: "{PLATFORM}" alone.'
    kind, platform = entry.model_type, entry.model_platform
    which = "ModelServerConfig::model_type (deprecated)"
    if kind and platform:
        raise InputError(f"Illegal setting both {which} and ModelServerConfig::model_platform.", fix)
    if kind not in (model_server_config_pb2.MODEL_TYPE_UNSPECIFIED, model_server_config_pb2.TENSORFLOW):
        raise InputError(f"ModelServerConfig::model_type choice {kind} not supported.", fix)
    if not kind and not platform:
        raise InputError(f"Illegal setting neither {which} nor ModelServerConfig::model_platform.", fix)
    if platform not in ("", PLATFORM):
        raise InputError(f"Model {entry.name} requests unsupported platform {platform}", fix)


def parse_monitoring_config(text: str, source: str) -> dict[str, Any]:
    """The Prometheus settings of a `MonitoringConfig` text proto.

    Args:
        text: the text proto, e.g. `prometheus_config { enable: true path: "/metrics" }`.
        source: the file's name, for errors.

    Returns:
        `enable` (bool) and `path` (str; TF Serving's default if the file names none).

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
        InputError: the text does not parse, a key is missing or is no PEM text, or clients are to be verified
            with no authority given.
    """
    message = text_protos.parse(
        text, text_protos.new("SSLConfig"), source, 'Write, for example: server_key: "-----BEGIN PRIVATE KEY-----..."'
    )
    for name in ("server_key", "server_cert", *(["custom_ca"] if message.custom_ca or message.client_verify else [])):
        if PEM not in getattr(message, name):
            raise InputError(
                f"{name} of an SSLConfig is a PEM text, not a path. {source} has none.",
                f"Paste the file's text, with \\n at each line's end: {name}: \"{PEM}...\".",
            )
    return TlsConfig(message.server_key, message.server_cert, message.custom_ca, message.client_verify)


def parse_channel_arguments(text: str) -> tuple[tuple[str, str | int], ...]:
    """gRPC's settings out of `grpc.max_connection_age_ms=2000,grpc.lb_policy_name=x`: numbers as int, else as str.

    Raises:
        InputError: an entry is no `key=value`.
    """
    arguments: list[tuple[str, str | int]] = []
    for entry in filter(None, text.split(",")):
        key, equals, value = entry.partition("=")
        if not key or not equals:
            raise InputError(
                f"gRPC channel arguments are key=value, separated by commas. Received {entry!r}.",
                "Write, for example: grpc.max_connection_age_ms=2000",
            )
        number = re.fullmatch(r"-?\d{1,10}", value, re.ASCII) and int(value) in INT32
        arguments.append((key, int(value) if number else value))
    return tuple(arguments)


def read_text(path: Path, what: str) -> str:
    """The text of a configuration file.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The {what} {path} cannot be read: {error}.", "Check the path.") from error
