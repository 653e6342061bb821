"""The model store: versions of models on disk, and labels that say which version answers.

The layout is TF Serving's: `<root>/<model>/<version>/saved_model.pb` and `<root>/models.config`. A push has two steps:
first every model is copied completely under its new version number, then one rename of `models.config` moves the labels
of all models. If the push is killed at any moment, the old versions are served or the new ones, never a mixture.

`stable` labels the version that callers ask for. `canary`, if it is set, labels a candidate beside it. A request that
has no label goes to the newest loaded version, as in TF Serving: to the canary if there is one.

This module does not import TensorFlow.
"""

import contextlib
import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from segue import files
from segue.errors import InputError
from segue.near_names import check_known
from serving.protocol import config_files
from serving.protocol.config_files import ModelConfig
from serving.store import staging
from serving.store.chosen_versions import canaries, check_whole, having
from serving.store.own_paths import read_config
from serving.store.rollback_targets import last_pushed, rollback_targets
from serving.store.versions import CANARY, STABLE, models, versions

CONFIG = "models.config"

# Called with the current and the next text of `models.config` before the file is written, e.g. to move the labels of a
# running server first. If it raises an error, the file is not written.
Announce = Callable[[str, str], None]
Labels = dict[str, dict[str, int]]  # model -> label -> version
WarmUp = Mapping[str, Sequence[Mapping[str, Any]]]


def push(
    root: Path, saved_models: Mapping[str, Path], keep: int = 5, warmup: WarmUp | None = None, label: str = STABLE
) -> int:
    """Add a new version of each given model, and move a label to the new versions: of all models or of none.

    A push to `stable` removes the label `canary` of these models. A push to `canary` does not move `stable`.

    Args:
        root: the model store; it is created if it does not exist.
        saved_models: model name -> folder of its SavedModel.
        keep: how many of the newest versions of each model are kept. Labelled versions, and the version that `rollback`
            would return to, are kept in any case.
        warmup: model name -> requests for `serving_default` (input name -> array), which the server runs once before
            the version is available.
        label: `stable` or `canary`.

    Returns:
        The new version number, the same for all models: 1 + the highest number of any model in the store.

    Raises:
        InputError: no models, an invalid model name, a folder without a SavedModel, `keep` below 1, another label, or
            invalid warm-up requests (see `staging.warmup_logs`).
    """
    if keep < 1:
        raise InputError(f"A push keeps at least 1 version. Received keep={keep}.", "Give keep=1 or more.")
    if label not in (STABLE, CANARY):
        raise InputError(
            f"A push moves the label {STABLE} or {CANARY}. Received {label!r}.", "Move other labels with `promote`."
        )
    staging.check(saved_models)
    logs = staging.warmup_logs(warmup or {}, saved_models)
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        # Versions without a label count too: a push that was killed may have left the next number of some models taken.
        version = 1 + max((v for name in models(root) for v in versions(root, name)), default=0)
        staged = {
            name: staging.stage(root / name, version, source, logs.get(name, ()))
            for name, source in saved_models.items()
        }
        for name, folder in staged.items():
            folder.rename(root / name / str(version))
        moved = labels(root)
        for name in saved_models:
            model_labels = moved.setdefault(name, {})
            model_labels[label] = version
            if label == STABLE:
                model_labels.pop(CANARY, None)
        _write_labels(root, moved)
        for name in saved_models:
            _prune(root, name, keep)
    return version


def labels(root: Path) -> dict[str, dict[str, int]]:
    """Model -> label -> version, read from `models.config`; empty before the first push."""
    return {name: dict(entry.labels) for name, entry in _entries(Path(root)).items()}


def stable(root: Path) -> dict[str, Path]:
    """Model -> folder of its `stable` version; empty before the first push."""
    return {
        name: Path(root) / name / str(model_labels[STABLE])
        for name, model_labels in labels(root).items()
        if STABLE in model_labels
    }


def served(root: Path, model: str) -> Path:
    """The folder of the `stable` version of a model.

    Raises:
        InputError: the model has no `stable` version yet.
    """
    folders = stable(root)
    if model not in folders:
        raise InputError(f"No version of the model {model!r} is served yet.", "Run `segue run training` first.")
    return folders[model]


def promote(
    root: Path, version: int | None = None, label: str = STABLE, announce: Announce | None = None
) -> dict[str, int]:
    """Move a label to a version, in every model that has the version.

    Without a version, `stable` moves to the canary of each model that has one. The label `canary` is removed from a
    version that becomes `stable`, and stays on any other version.

    Args:
        root: the model store.
        version: the version number; None for the version of the canary.
        label: the label to move.
        announce: see `Announce`; None writes the file only.

    Returns:
        Model -> version, for the models whose label was moved.

    Raises:
        InputError: no model has the version, or one of them is not whole (its files have changed since the push); there
            is no canary; or no version is given for a label other than `stable`.
        SegueError: the error that `announce` raised.
    """
    if version is None and label != STABLE:
        raise InputError(
            f"Only {STABLE} can do without a version: it moves to the canary. Received {label!r} alone.",
            "Give the version.",
        )
    if not label:
        raise InputError("A label has at least one character. Received an empty label.", "Give the label a name.")
    root = Path(root)
    with _locked(root):
        moved = labels(root)
        chosen = canaries(root, moved) if version is None else having(root, version)
        for name, number in chosen.items():
            check_whole(root, name, number)
            model_labels = moved.setdefault(name, {})
            model_labels[label] = number
            if label == STABLE and model_labels.get(CANARY) == number:
                del model_labels[CANARY]
        _write_labels(root, moved, announce)
    return chosen


def rollback(root: Path, announce: Announce | None = None) -> tuple[str, Mapping[str, int | None]]:
    """Undo the last push or promotion: remove the label `canary` if there is one, else move `stable` back.

    With a canary, `stable` does not move. Without one, the models of the last push return to the version that was
    `stable` before. If that version is not known or not whole (its files have changed), they return to the newest
    older version that is whole in all of them. Two groups of models do not move: those whose `stable` is older than the
    newest `stable`, because they were not part of the last push, and those that have no older version.

    Args:
        root: the model store.
        announce: see `Announce`; None writes the file only.

    Returns:
        The label that moved, and model -> its new version; None where the label was removed.

    Raises:
        InputError: there is no canary, and no older version is whole.
        SegueError: the error that `announce` raised.
    """
    root = Path(root)
    with _locked(root):
        entries = _entries(root)
        moved = {name: dict(entry.labels) for name, entry in entries.items()}
        # A promoted candidate may keep the label: it is none any more, and the label goes back with `stable`.
        without_canary = [name for name, of in moved.items() if CANARY in of and of[CANARY] != of.get(STABLE)]
        if without_canary:
            for name in without_canary:
                del moved[name][CANARY]
            _write_labels(root, moved, announce)
            return CANARY, dict.fromkeys(without_canary)
        back = rollback_targets(root, entries, moved)
        if not back:
            current = ", ".join(f"{name} {moved[name][STABLE]}" for name in last_pushed(moved)) or "not set"
            raise InputError(
                f"There is no older whole version to roll back to in {root}: {STABLE} is {current}.",
                "List the versions with `segue models list`; then promote one, or push a good model.",
            )
        for name, version in back.items():
            moved[name].update(dict.fromkeys({STABLE, CANARY} & moved[name].keys(), version))
        _write_labels(root, moved, announce)
    return STABLE, back


def relabel(root: Path, edit: Callable[[Labels], Labels], announce: Announce | None = None) -> None:
    """Give the labels that `edit` makes of those that there are, in one write.

    Raises:
        InputError: a version that no label named is not whole.
        SegueError: the error that `announce` raised.
    """
    root = Path(root)
    with _locked(root):
        before = labels(root)
        after = edit({name: dict(names) for name, names in before.items()})
        for name, model_labels in after.items():
            for version in set(model_labels.values()) - set(before.get(name, {}).values()):
                check_whole(root, name, version)
        if after != before:
            _write_labels(root, after, announce)


def drop(root: Path, label: str, announce: Announce | None = None) -> dict[str, None]:
    """Remove a label from every model that has it, and return model -> None for these. The versions stay in the store.

    Raises:
        InputError: no model has the label, or it is `stable`.
        SegueError: the error that `announce` raised.
    """
    if label == STABLE:
        raise InputError(
            f"Callers ask for the label {STABLE}, so it can move but not be dropped.",
            "Move it: `segue models promote VERSION` or `segue models rollback`.",
        )
    root = Path(root)
    with _locked(root):
        moved = labels(root)
        check_known("label", label, {name for model_labels in moved.values() for name in model_labels})
        without = [name for name, model_labels in moved.items() if model_labels.pop(label, None) is not None]
        _write_labels(root, moved, announce)
    return dict.fromkeys(without)


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Let one writer at a time change the store; what it leaves half-written is removed, by the next if it is killed.

    The kernel holds the lock, so it ends with a killed writer.
    """
    if not root.is_dir():
        raise InputError(f"The model store {root} does not exist.", "Push a model first: `segue run training`.")
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        staging.remove_leftovers(root)
        try:
            yield
        finally:
            staging.remove_leftovers(root)


def _text(root: Path) -> str:
    """The text of `models.config`; empty if the file does not exist."""
    path = root / CONFIG
    return read_config(path, "model config") if path.is_file() else ""


def _entries(root: Path) -> dict[str, ModelConfig]:
    """The entries of `models.config` by model name."""
    return {entry.name: entry for entry in config_files.parse_config(_text(root), str(root / CONFIG))}


def _write_labels(root: Path, moved: Mapping[str, Mapping[str, int]], announce: Announce | None = None) -> None:
    """Rewrite `models.config` with new labels, and keep its settings of request logging.

    The file also names the version that `rollback` would return to, so that the server keeps it loaded: the server
    unloads a version that the file does not name, and moves labels to loaded versions only. Models without a label are
    left out.
    """
    before = _entries(root)
    moved = {name: model_labels for name, model_labels in moved.items() if model_labels}
    standby = {name: [version] for name, version in rollback_targets(root, before, moved).items()}
    message = config_pb2.ModelServerConfig()
    text_format.Parse(config_files.render_config(moved, str(root.resolve()), standby), message)
    for entry in message.model_config_list.config:
        if entry.name in before and before[entry.name].logging_config is not None:
            entry.logging_config.CopyFrom(before[entry.name].logging_config)
    text = text_format.MessageToString(message)
    if announce is not None:
        announce(_text(root), text)
    files.write_text(root / CONFIG, text)


def _prune(root: Path, name: str, keep: int) -> None:
    """Remove the versions of a model that are neither among the `keep` newest nor named by `models.config`."""
    entry = _entries(root)[name]
    for version in set(versions(root, name)[:-keep]) - {*entry.specific, *entry.labels.values()}:
        staging.remove(root / name / str(version))
