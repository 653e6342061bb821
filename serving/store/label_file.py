"""`models.config` of a store: the labels of its models, and the versions that a server keeps loaded for them."""

from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.protocol import config_files
from serving.protocol.config_files import ModelConfig
from serving.store.chosen_versions import check_whole
from serving.store.own_paths import read_config
from serving.store.rollback_targets import rollback_targets

CONFIG = "models.config"
Labels = dict[str, dict[str, int]]  # model -> label -> version


def config_text(root: Path) -> str:
    """Return the text of a store's `models.config`; empty before the first push."""
    path = Path(root) / CONFIG
    return read_config(path, "model config") if path.is_file() else ""


def entries(text: str) -> dict[str, ModelConfig]:
    """Return the entries of a text of `models.config`, by model."""
    return {entry.name: entry for entry in config_files.parse_config(text, CONFIG)}


def labels_in(text: str) -> Labels:
    """Return the labels in a text of `models.config`."""
    return {name: dict(entry.labels) for name, entry in entries(text).items()}


def rendered(root: Path, before: str, after: Mapping[str, Mapping[str, int]]) -> str:
    """Return the text of `models.config` with other labels, and with the settings of request logging that it has.

    The text also names the version that a rollback would return to, so that the server keeps it loaded: the server
    unloads a version that the file does not name, and moves labels to loaded versions only. Models without a label are
    left out.

    Args:
        root: the model store.
        before: the text as it is.
        after: the labels that it will have.
    """
    earlier = entries(before)
    after = {name: names for name, names in after.items() if names}
    standby = {name: [version] for name, version in rollback_targets(root, earlier, after).items()}
    message = config_pb2.ModelServerConfig()
    text_format.Parse(config_files.render_config(after, str(root.resolve()), standby), message)
    for entry in message.model_config_list.config:
        if entry.name in earlier and earlier[entry.name].logging_config is not None:
            entry.logging_config.CopyFrom(earlier[entry.name].logging_config)
    return text_format.MessageToString(message)


def check_newly_named(root: Path, before: Labels, after: Labels) -> None:
    """Raise InputError if a version that no label named before, and that one names now, is not whole."""
    for name, names in after.items():
        for version in set(names.values()) - set(before.get(name, {}).values()):
            check_whole(root, name, version)
