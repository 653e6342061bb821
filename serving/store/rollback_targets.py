"""The versions that a rollback returns to."""

from collections.abc import Mapping
from pathlib import Path

from serving.protocol.config_files import ModelConfig
from serving.store.versions import STABLE, verify, versions


def rollback_targets(
    root: Path, before: Mapping[str, ModelConfig], after: Mapping[str, Mapping[str, int]]
) -> dict[str, int]:
    """The versions that `rollback` would return to, for the models of the last push.

    The first choice is the version that was `stable` before. The next older version on disk is the second choice only,
    because it may be a canary that was rolled back.

    Args:
        root: the model store.
        before: the entries of `models.config` as it is.
        after: the labels that it will have: model -> label -> version.

    Returns:
        Model -> version; empty if no older version is whole in all of these models.
    """
    on_disk = {name: versions(root, name) for name in last_pushed(after)}
    # A model that came with the last push has no older version. It stays, and the other models can move without it.
    moving = [name for name, numbers in on_disk.items() if any(v < after[name][STABLE] for v in numbers)]
    if not moving:
        return {}
    current = after[moving[0]][STABLE]
    common = sorted(set.intersection(*(set(on_disk[name]) for name in moving)), reverse=True)
    previous = {name: _previous(before.get(name), current) for name in moving}
    for choice in [previous, *(dict.fromkeys(moving, v) for v in common)]:
        if all(v < current and v in on_disk[name] and verify(root, name, v) for name, v in choice.items()):
            return choice
    return {}


def _previous(entry: ModelConfig | None, current: int) -> int:
    """The version of a model that was `stable` before version `current`; `current` itself if that is not known.

    If the entry says that `current` is `stable` already, the version before it is the one that the entry keeps loaded
    without a label.
    """
    if entry is None:
        return current
    stable_version = entry.labels.get(STABLE, current)
    if stable_version != current:
        return stable_version
    unlabelled = set(entry.specific) - set(entry.labels.values())  # also newer ones, while a server loads them
    return max((version for version in unlabelled if version < current), default=current)


def last_pushed(current: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The models whose `stable` version is the newest of all `stable` versions."""
    newest = max((model_labels[STABLE] for model_labels in current.values() if STABLE in model_labels), default=None)
    return [name for name, labelled in current.items() if newest is not None and labelled.get(STABLE) == newest]
