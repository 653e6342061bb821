"""The configuration between two others, with which a server loads new versions while its labels stay.

TF Serving refuses a configuration that moves a label to a version that is not loaded, and then loads nothing of it (its
model_servers/server_core.cc checks the labels first). So a server first gets a configuration with the versions of both
and the old labels, and the new configuration once the versions that it labels are loaded.
"""

from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig


def labelled(config: Any) -> list[tuple[str, int]]:
    """The (model, version) pairs that a `ModelServerConfig` labels, sorted."""
    return sorted({(e.name, version) for e in config.model_config_list.config for version in e.version_labels.values()})


def named(config: Any) -> set[tuple[str, int]]:
    """The (model, version) pairs that a `ModelServerConfig` of the store has a server load."""
    return {
        (e.name, version)
        for e in config.model_config_list.config
        for version in e.model_version_policy.specific.versions
    }


def between(old: Any, new: Any) -> Any:
    """Return a `ModelServerConfig` with the versions of `old` and `new` and the labels of `old`."""
    both = type(new)()
    both.CopyFrom(new)
    old_entries = {entry.name: entry for entry in old.model_config_list.config}
    for entry in both.model_config_list.config:
        entry.version_labels.clear()
        if entry.name in old_entries:
            old_entry = old_entries[entry.name]
            entry.version_labels.update(old_entry.version_labels)
            versions = entry.model_version_policy.specific.versions
            versions[:] = sorted(
                {*versions, *old_entry.model_version_policy.specific.versions, *old_entry.version_labels.values()}
            )
    return both


def both(before: str, after: str) -> str:
    """Return `between` of two texts of `models.config`; `before` itself if it names all versions already."""
    old, new = (text_format.Parse(text, ModelServerConfig()) for text in (before, after))
    return text_format.MessageToString(between(old, new)) if named(new) - named(old) and before else before
