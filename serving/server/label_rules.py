"""The rules that decide whether a version label may name a version that is not loaded.

- LABELS_AVAILABLE: it may not. This is TF Serving's default.
- LABELS_UNUSED: it may if the label is not in use yet. This is TF Serving's flag
  --allow_version_labels_for_unavailable_models.
- LABELS_FOLLOW: it may. This is for the project's own store: all labels move together once every version that they name
  is loaded, and stay where they were until then.
"""

from collections.abc import Container, Mapping, Sequence

from grpc import StatusCode

from serving.protocol.config_files import ModelConfig
from serving.protocol.status import StatusError

LABELS_AVAILABLE, LABELS_UNUSED, LABELS_FOLLOW = "available", "unused", "follow"

Labels = Mapping[str, Mapping[str, int]]  # model -> label -> version


def check(rule: str, configs: Sequence[ModelConfig], labels: Labels, loaded: Mapping[str, Container[int]]) -> None:
    """Check the labels of a new configuration.

    Args:
        rule: a `LABELS_` constant.
        configs: the new configuration.
        labels: the labels in use.
        loaded: model -> its loaded versions.

    Raises:
        StatusError: a label names a version that is not loaded, and the rule does not allow that.
    """
    if rule == LABELS_FOLLOW:
        return
    for entry in configs:
        current = labels.get(entry.name, {})
        for label, version in entry.labels.items():
            unused = rule == LABELS_UNUSED and current.get(label, version) == version
            if version not in loaded.get(entry.name, ()) and not unused:
                raise StatusError(StatusCode.FAILED_PRECONDITION, _unavailable(entry.name, version))


def next_labels(
    rule: str, configs: Sequence[ModelConfig], labels: Labels, loaded: Container[tuple[str, int]]
) -> tuple[Labels, list[str]]:
    """Return the labels that take effect with an update, and a warning for each label whose version is not loaded.

    Args:
        rule: a `LABELS_` constant; with LABELS_FOLLOW the labels in use stay until all configured versions are loaded.
        configs: the configuration.
        labels: the labels in use.
        loaded: the (model, version) pairs that are loaded after the update.
    """
    missing = [
        _unavailable(entry.name, version)
        for entry in configs
        for version in entry.labels.values()
        if (entry.name, version) not in loaded
    ]
    if missing and rule == LABELS_FOLLOW:
        return labels, [f"{text}; all labels stay where they were" for text in missing]
    return {entry.name: dict(entry.labels) for entry in configs}, missing


def _unavailable(model: str, version: int) -> str:
    """TF Serving's text for a label whose version is not loaded."""
    return (
        f"Request to assign label to version {version} of model {model}, which is not currently available for inference"
    )
