"""TF Serving's configuration files: which models to serve, which versions and labels of each.

Both files are text protos, so that `tensorflow_model_server` reads what we write and we read what it reads.
Nothing here imports TensorFlow.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

from segue.errors import InputError

PLATFORM = "tensorflow"
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # in our store, where it is a folder too
VERSION = re.compile(r"0|[1-9][0-9]{0,17}")  # a version's folder; other names are not versions

VersionPolicy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy


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
    """

    name: str
    base_path: Path
    policy: str = "latest"
    num_latest: int = 1
    specific: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

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
    message = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise InputError(
            f"A model config is a text proto of ModelServerConfig. {source}: {error}.",
            "Correct the line; `segue models list` shows how the store writes it.",
        ) from error
    if message.WhichOneof("config") == "custom_model_config":
        raise InputError(
            f"{source} holds a custom_model_config; this server knows model_config_list only.",
            "List the models under model_config_list.",
        )
    configs = [_model_config(entry, source) for entry in message.model_config_list.config]
    names = [config.name for config in configs]
    for name in {name for name in names if names.count(name) > 1}:
        raise InputError(
            f"Illegal to list model {name} multiple times in config list ({source}).",
            "Keep one of the entries.",
        )
    return configs


def _model_config(entry: Any, source: str) -> ModelConfig:
    """One checked entry of a `ModelConfigList`."""
    where = f"model {entry.name!r} in {source}"
    if not entry.name:
        raise InputError(f"Every model in a model config has a name; an entry of {source} has none.", "Name it.")
    platform = entry.model_platform or (PLATFORM if entry.model_type == model_server_config_pb2.TENSORFLOW else "")
    if platform != PLATFORM:
        raise InputError(
            f'The platform of {where} must be "{PLATFORM}". Received {platform!r}.',
            f'Write model_platform: "{PLATFORM}".',
        )
    if not entry.base_path.startswith("/"):
        raise InputError(
            f"Expected model {entry.name} to have an absolute path; got base_path()={entry.base_path} ({source}).",
            "Write the whole path of the folder that holds the model's versions.",
        )
    policy = entry.model_version_policy
    kind = policy.WhichOneof("policy_choice") or "latest"
    if kind == "specific" and not policy.specific.versions:
        raise InputError(f"A specific version policy lists at least one version; {where} has none.", "Add versions.")
    return ModelConfig(
        name=entry.name,
        base_path=Path(entry.base_path),
        policy=kind,
        num_latest=max(policy.latest.num_versions, 1),
        specific=tuple(policy.specific.versions),
        labels=dict(entry.version_labels),
    )


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
    message = _monitoring_config_class()()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise InputError(
            f"A monitoring config is a text proto of MonitoringConfig. {source}: {error}.",
            'Write, for example: prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }',
        ) from error
    prometheus = message.prometheus_config
    return {"enable": prometheus.enable, "path": prometheus.path or "/monitoring/prometheus/metrics"}


def _monitoring_config_class() -> Any:
    """The `MonitoringConfig` message: tensorflow-serving-api has no stub of it, so it is declared here."""
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="segue/monitoring_config.proto", package="segue.serving")
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=types.TYPE_BOOL, label=types.LABEL_OPTIONAL)
    prometheus.field.add(name="path", number=2, type=types.TYPE_STRING, label=types.LABEL_OPTIONAL)
    monitoring = file.message_type.add(name="MonitoringConfig")
    monitoring.field.add(
        name="prometheus_config",
        number=1,
        type=types.TYPE_MESSAGE,
        label=types.LABEL_OPTIONAL,
        type_name=".segue.serving.PrometheusConfig",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("segue.serving.MonitoringConfig"))


def read_text(path: Path, what: str) -> str:
    """The text of a configuration file.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The {what} {path} cannot be read: {error}.", "Check the path.") from error
