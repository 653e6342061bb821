"""The model store: versions on disk, and the labels that say which of them answers.

The layout is TF Serving's: `<root>/<model>/<version>/saved_model.pb` and `<root>/models.config`. A push is
two steps, so that a kill at any moment leaves the old set or the new one: every model is made whole under its
new version number, then one rename of `models.config` moves the labels of all of them at once.

`stable` is the version that callers ask for; `canary`, if there is one, is a candidate beside it. A request that names
neither is answered by the newest loaded version, as in TF Serving: by the canary.
Nothing here imports TensorFlow.
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
from serving.protocol import config_files as config
from serving.protocol.config_files import ModelConfig
from serving.store import staging
from serving.store.versions import faults, listed, models, verify, versions

STABLE, CANARY = "stable", "canary"
CONFIG = "models.config"

# Called with the text of `models.config` as it is and as it will be, before it is written. If it raises, nothing is.
Tell = Callable[[str, str], None]
WarmUp = Mapping[str, Sequence[Mapping[str, Any]]]


def push(
    root: Path, saved_models: Mapping[str, Path], keep: int = 5, warmup: WarmUp | None = None, label: str = STABLE
) -> int:
    """Add one new version of every given model and move their labels to it, all or none.

    A push to `stable` ends the canary of these models; a push to `canary` leaves `stable` where it is.

    Args:
        root: the model store; created if absent.
        saved_models: model name -> folder of its SavedModel.
        keep: how many newest versions of each model stay; labelled ones and the one that `rollback` would
            return to stay as well.
        warmup: model name -> requests for `serving_default`, each input name -> array, that the server answers
            once before the version is available.
        label: `stable` or `canary`.

    Returns:
        The new version number, common to all the models: 1 + the highest of any model in the store.

    Raises:
        InputError: no models, a model name that is no plain file name, a folder without a SavedModel, `keep`
            below 1, another label, or warm-up requests for a model that is not pushed, too many, or of a
            dtype that no tensor has.
    """
    if keep < 1:
        raise InputError(f"A push keeps at least 1 version. Received keep={keep}.", "Give keep=1 or more.")
    if label not in (STABLE, CANARY):
        raise InputError(f"A push is to {STABLE} or {CANARY}. Received {label!r}.", "`promote` moves other labels.")
    staging.check(saved_models)
    logs = staging.warmup_logs(warmup or {}, saved_models)
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        staging.remove_leftovers(root)
        # Unlabelled versions count too: a push that was killed may have left some models' next number taken.
        version = 1 + max((v for name in models(root) for v in versions(root, name)), default=0)
        staged = {
            name: staging.stage(root / name, version, source, logs.get(name, ()))
            for name, source in saved_models.items()
        }
        for name, folder in staged.items():
            folder.rename(root / name / str(version))
        moved = labels(root)
        for name in saved_models:
            known = moved.setdefault(name, {})
            known[label] = version
            if label == STABLE:
                known.pop(CANARY, None)
        _write_labels(root, moved)
        for name in saved_models:
            _prune(root, name, keep)
    return version


def labels(root: Path) -> dict[str, dict[str, int]]:
    """model -> label -> version, as `models.config` says; empty if nothing was pushed yet."""
    return {name: dict(entry.labels) for name, entry in _entries(Path(root)).items()}


def stable(root: Path) -> dict[str, Path]:
    """model -> folder of the version that the label `stable` names; empty if nothing was pushed yet."""
    return {name: Path(root) / name / str(known[STABLE]) for name, known in labels(root).items() if STABLE in known}


def served(root: Path, model: str) -> Path:
    """The folder of a model's version that the label `stable` names.

    Raises:
        InputError: no version of the model was pushed yet.
    """
    known = stable(root)
    if model not in known:
        raise InputError(f"No version of the model {model!r} is served yet.", "Run `segue run training` first.")
    return known[model]


def promote(root: Path, version: int | None = None, label: str = STABLE, tell: Tell | None = None) -> dict[str, int]:
    """Point a label at a version: of every model that has it, or with no version, `stable` at each model's canary.

    A canary that becomes `stable` is no canary any more; another one stays.

    Args:
        root: the model store.
        version: the version; None for the canary's.
        label: the label to move.
        tell: see `Tell`; by default only the file is written.

    Returns:
        model -> version, of the models whose label now points there.

    Raises:
        InputError: no model has the version, or one of them is not whole; there is no canary; or no version
            is given for a label other than `stable`.
        SegueError: what `tell` raises.
    """
    root = Path(root)
    with _locked(root):
        moved = labels(root)
        chosen = _canaries(root, moved, label) if version is None else _having(root, version, label)
        for name, number in chosen.items():
            broken = faults(root, name, number)
            if broken:
                raise InputError(
                    f"Only a whole version can be promoted; {name} {number}: {broken[0]}.",
                    "Push the model again, or promote another version.",
                )
            known = moved.setdefault(name, {})
            known[label] = number
            if label == STABLE and known.get(CANARY) == number:
                del known[CANARY]
        _write_labels(root, moved, tell)
    return chosen


def rollback(root: Path, tell: Tell | None = None) -> tuple[str, Mapping[str, int | None]]:
    """Undo the last step forward: drop the canary if there is one; else move `stable` back.

    With a canary, `stable` is not touched. Without one, the models that were pushed last return to what was `stable`
    before, or, if that is not whole or not known, to the next older version that is whole in all of them. Models
    whose `stable` is older than the newest one were not part of the last push and stay, and so do those that had no
    version before it.

    Args:
        root: the model store.
        tell: see `Tell`; by default only the file is written.

    Returns:
        The label that moved, and model -> the version that it names now; None where it was dropped.

    Raises:
        InputError: there is no canary, and no older version is whole.
        SegueError: what `tell` raises.
    """
    root = Path(root)
    with _locked(root):
        entries = _entries(root)
        moved = {name: dict(entry.labels) for name, entry in entries.items()}
        dropped = [name for name, known in moved.items() if known.pop(CANARY, None) is not None]
        if dropped:
            _write_labels(root, moved, tell)
            return CANARY, dict.fromkeys(dropped)
        back = _way_back(root, entries, moved)
        if not back:
            at = ", ".join(f"{name} {moved[name][STABLE]}" for name in _last_pushed(moved)) or "not set"
            raise InputError(
                f"There is no older whole version to roll back to in {root}: {STABLE} is {at}.",
                "`segue models list` shows what is there; promote a version, or push a good model.",
            )
        for name, version in back.items():
            moved[name][STABLE] = version
        _write_labels(root, moved, tell)
    return STABLE, back


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One writer at a time. The lock is the kernel's, so that a killed writer does not keep it."""
    if not root.is_dir():
        raise InputError(f"The model store {root} does not exist.", "Push a model first: `segue run training`.")
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _text(root: Path) -> str:
    """The text of `models.config`; empty if there is none."""
    path = root / CONFIG
    return config.read_text(path, "model config") if path.is_file() else ""


def _entries(root: Path) -> dict[str, ModelConfig]:
    """The models in `models.config` by name."""
    return {entry.name: entry for entry in config.parse_config(_text(root), str(root / CONFIG))}


def _write_labels(root: Path, moved: Mapping[str, Mapping[str, int]], tell: Tell | None = None) -> None:
    """Rewrite `models.config` with other labels; what it says of request logging stays.

    The version that `rollback` would return to stays loaded beside the labelled ones: a label moves only to a
    version that is loaded, and what no policy asks for is unloaded at once. A model without a label is not listed.
    """
    before = _entries(root)
    moved = {name: known for name, known in moved.items() if known}
    standby = {name: [version] for name, version in _way_back(root, before, moved).items()}
    message = config_pb2.ModelServerConfig()
    text_format.Parse(config.render_config(moved, str(root.resolve()), standby), message)
    for entry in message.model_config_list.config:
        if entry.name in before and before[entry.name].logging_config is not None:
            entry.logging_config.CopyFrom(before[entry.name].logging_config)
    text = text_format.MessageToString(message)
    if tell is not None:
        tell(_text(root), text)
    files.write_text(root / CONFIG, text)


def _way_back(root: Path, before: Mapping[str, ModelConfig], known: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """What `rollback` returns to once the labels are `known`: model -> version, of the models pushed last.

    First choice is what was stable before; the next older version on the disk may be a canary that was dropped.
    Empty if nothing older is whole in all of these models.
    """
    there = {name: versions(root, name) for name in _last_pushed(known)}
    # A model that the last push brought for the first time has nothing to return to, and keeps nobody from it.
    moving = [name for name, found in there.items() if any(v < known[name][STABLE] for v in found)]
    if not moving:
        return {}
    now = known[moving[0]][STABLE]
    common = sorted(set.intersection(*(set(there[name]) for name in moving)), reverse=True)
    choices = [{name: _previous(before.get(name), now) for name in moving}, *(dict.fromkeys(moving, v) for v in common)]
    for choice in choices:
        if all(v < now and v in there[name] and verify(root, name, v) for name, v in choice.items()):
            return choice
    return {}


def _previous(entry: ModelConfig | None, now: int) -> int:
    """What was stable before version `now`; `now` itself if a model's entry does not tell.

    Once `now` is stable, it is the version that stays loaded without a label.
    """
    if entry is None:
        return now
    was = entry.labels.get(STABLE, now)
    return was if was != now else max(set(entry.specific) - set(entry.labels.values()), default=now)


def _last_pushed(known: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The models whose `stable` is the newest of all."""
    newest = max((entry[STABLE] for entry in known.values() if STABLE in entry), default=None)
    return [name for name, entry in known.items() if newest is not None and entry.get(STABLE) == newest]


def _canaries(root: Path, known: Mapping[str, Mapping[str, int]], label: str) -> dict[str, int]:
    """model -> its canary."""
    if label != STABLE:
        raise InputError(f"Only {STABLE} can do without a version. Received {label!r} alone.", "Give the version.")
    found = {name: entry[CANARY] for name, entry in known.items() if CANARY in entry}
    if not found:
        raise InputError(f"There is no {CANARY} to promote in {root}.", "Give the version to promote.")
    return found


def _having(root: Path, version: int, label: str) -> dict[str, int]:
    """model -> `version`, of the models that have it."""
    if not label:
        raise InputError("A label is a name of at least one character. Received an empty one.", "Name it.")
    having = {name: version for name in models(root) if version in versions(root, name)}
    if not having:
        known = sorted({v for name in models(root) for v in versions(root, name)})
        raise InputError(f"No model in {root} has a version {version}.", f"The versions are: {listed(known)}.")
    return having


def _prune(root: Path, name: str, keep: int) -> None:
    """Remove the versions that are neither among the `keep` newest nor in use."""
    entry = _entries(root)[name]
    for version in set(versions(root, name)[:-keep]) - {*entry.specific, *entry.labels.values()}:
        staging.remove(root / name / str(version))
