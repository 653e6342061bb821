"""The model store: versions on disk, and the labels that say which of them answers.

The layout is TF Serving's: `<root>/<model>/<version>/saved_model.pb` and `<root>/models.config`. A push is
two steps, so that a kill at any moment leaves the old set or the new one: every model is made whole under its
new version number, then one rename of `models.config` moves the labels of all of them at once.
Nothing here imports TensorFlow.
"""

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from segue import files
from segue.errors import InputError
from serving import config

STABLE = "stable"
CONFIG = "models.config"
# TF Serving leaves files in a version's folder that it does not know alone.
CHECKSUMS = "segue_checksum.json"


def push(root: Path, saved_models: Mapping[str, Path], keep: int = 5) -> int:
    """Add one new version of every given model and move their `stable` labels to it, all or none.

    Args:
        root: the model store; created if absent.
        saved_models: model name -> folder of its SavedModel.
        keep: how many newest versions of each model stay; labelled ones and the one that `rollback` would
            return to stay as well.

    Returns:
        The new version number, common to all the models: 1 + the highest of any model in the store.

    Raises:
        InputError: no models, a model name that is no plain file name, a folder without a SavedModel, or
            `keep` below 1.
    """
    _check_push(saved_models, keep)
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        _remove_leftovers(root)
        # Unlabelled versions count too: a push that was killed may have left some models' next number taken.
        version = 1 + max((v for name in _model_names(root) for v in versions(root, name)), default=0)
        staged = {name: _stage(root / name, version, source) for name, source in saved_models.items()}
        for name, folder in staged.items():
            folder.rename(root / name / str(version))
        current = labels(root)
        for name in saved_models:
            current.setdefault(name, {})[STABLE] = version
        _write_labels(root, current)
        for name in saved_models:
            _prune(root, name, keep)
    return version


def versions(root: Path, model: str) -> list[int]:
    """The version numbers of a model, ascending; empty if the store does not have the model."""
    folder = Path(root) / model
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if p.is_dir() and config.VERSION.fullmatch(p.name))


def labels(root: Path) -> dict[str, dict[str, int]]:
    """model -> label -> version, as `models.config` says; empty if nothing was pushed yet."""
    path = Path(root) / CONFIG
    if not path.is_file():
        return {}
    entries = config.parse_config(config.read_text(path, "model config"), str(path))
    return {entry.name: dict(entry.labels) for entry in entries}


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


def models(root: Path) -> list[str]:
    """The names of all models that have a version in the store, sorted."""
    return [name for name in _model_names(Path(root)) if versions(root, name)]


def promote(root: Path, version: int, label: str = STABLE) -> list[str]:
    """Point `label` at `version` for every model that has it.

    Returns:
        The names of the models whose label now points there.

    Raises:
        InputError: no model has the version, or one of them is not whole.
    """
    root = Path(root)
    if not label:
        raise InputError("A label is a name of at least one character. Received an empty one.", "Name it.")
    with _locked(root):
        having = [name for name in models(root) if version in versions(root, name)]
        if not having:
            known = sorted({v for name in models(root) for v in versions(root, name)})
            raise InputError(f"No model in {root} has a version {version}.", f"The versions are: {_listed(known)}.")
        for name in having:
            broken = faults(root, name, version)
            if broken:
                raise InputError(
                    f"Only a whole version can be promoted; {name} {version}: {broken[0]}.",
                    "Push the model again, or promote another version.",
                )
        current = labels(root)
        for name in having:
            current.setdefault(name, {})[label] = version
        _write_labels(root, current)
    return having


def rollback(root: Path) -> int:
    """Move `stable` back to the next older version that is whole in all the models that were pushed last.

    Models whose `stable` is older than the newest one were not part of the last push and stay.

    Returns:
        The version that `stable` points at now.

    Raises:
        InputError: there is no older whole version.
    """
    root = Path(root)
    with _locked(root):
        current = labels(root)
        moving = _last_pushed(current)
        target = _rollback_target(root, current)
        if target is None:
            at = f"at version {current[moving[0]][STABLE]}" if moving else "not set"
            raise InputError(
                f"There is no older whole version to roll back to in {root}: {STABLE} is {at}.",
                "`segue models list` shows what is there; push a good model instead.",
            )
        for name in moving:
            current[name][STABLE] = target
        _write_labels(root, current)
    return target


def verify(root: Path, model: str, version: int) -> bool:
    """Whether every file of a version is the one that was pushed.

    Raises:
        InputError: the store does not have the version.
    """
    return not faults(root, model, version)


def faults(root: Path, model: str, version: int) -> list[str]:
    """What is wrong with a version's files, one phrase a file; empty if it is whole.

    Raises:
        InputError: the store does not have the version.
    """
    if version not in versions(root, model):
        raise InputError(
            f"Model {model!r} has no version {version} in {root}.",
            f"Its versions are: {_listed(versions(root, model))}.",
        )
    folder = Path(root) / model / str(version)
    try:
        expected = files.read_json(folder / CHECKSUMS)
    except FileNotFoundError:
        return [f"{CHECKSUMS} is missing, so it was not pushed by this store"]
    except ValueError:
        expected = None
    if not isinstance(expected, dict):
        return [f"{CHECKSUMS} is not a JSON object"]
    actual = _checksums(folder)
    return (
        [f"{name} is missing" for name in sorted(expected.keys() - actual.keys())]
        + [f"{name} was not pushed" for name in sorted(actual.keys() - expected.keys())]
        + [f"{name} has changed" for name in sorted(actual) if expected.get(name, actual[name]) != actual[name]]
    )


def _check_push(saved_models: Mapping[str, Path], keep: int) -> None:
    if not saved_models:
        raise InputError("A push takes at least one model. Received none.", "Give a name and a SavedModel.")
    if keep < 1:
        raise InputError(f"A push keeps at least 1 version. Received keep={keep}.", "Give keep=1 or more.")
    for name, source in saved_models.items():
        if not config.MODEL_NAME.fullmatch(name):
            raise InputError(
                f"A model name has letters, digits, _ . and -, and begins with none of the last three. "
                f"Received {name!r}.",
                "Rename the model.",
            )
        if not any((Path(source) / file).is_file() for file in ("saved_model.pb", "saved_model.pbtxt")):
            raise InputError(
                f"A SavedModel is a folder with saved_model.pb; {source} (model {name}) has none.",
                "Give the folder that the export wrote.",
            )


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One writer at a time. The lock is the kernel's, so that a killed writer does not keep it."""
    if not root.is_dir():
        raise InputError(f"The model store {root} does not exist.", "Push a model first: `segue run training`.")
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stage(folder: Path, version: int, source: Path) -> Path:
    """Copy a SavedModel, with its checksums, under a temporary name beside its target."""
    folder.mkdir(exist_ok=True)
    staged = folder / f"{files.TEMPORARY}{version}"
    shutil.copytree(source, staged, ignore=shutil.ignore_patterns(CHECKSUMS))
    files.write_json(staged / CHECKSUMS, _checksums(staged))
    return staged


def _checksums(folder: Path) -> dict[str, str]:
    """Relative file name -> SHA-256 of every file under `folder` but the checksum file itself."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != CHECKSUMS:
            with path.open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _write_labels(root: Path, current: Mapping[str, Mapping[str, int]]) -> None:
    """Rewrite `models.config`. The version that `rollback` would return to stays loaded beside the new one:

    TF Serving moves a label only to a version that is loaded, and unloads at once what no policy asks for.
    """
    target = _rollback_target(root, current)
    standby = {name: [target] for name in _last_pushed(current)} if target is not None else {}
    files.write_text(root / CONFIG, config.render_config(current, str(root.resolve()), standby))


def _last_pushed(current: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The models whose `stable` is the newest of all."""
    newest = max((entry[STABLE] for entry in current.values() if STABLE in entry), default=None)
    return [name for name, entry in current.items() if newest is not None and entry.get(STABLE) == newest]


def _rollback_target(root: Path, current: Mapping[str, Mapping[str, int]]) -> int | None:
    """The newest version, older than `stable`, that is whole in all the models pushed last."""
    moving = _last_pushed(current)
    if not moving:
        return None
    common = set.intersection(*(set(versions(root, name)) for name in moving))
    older = sorted((v for v in common if v < current[moving[0]][STABLE]), reverse=True)
    return next((v for v in older if all(verify(root, name, v) for name in moving)), None)


def _prune(root: Path, name: str, keep: int) -> None:
    """Remove the versions that are neither among the `keep` newest nor in use."""
    current = labels(root)
    needed = {*versions(root, name)[-keep:], *current[name].values(), _rollback_target(root, current)}
    for version in set(versions(root, name)) - needed:
        # Renamed first: a removal that is interrupted must not leave half a version under its number.
        doomed = root / name / f"{files.TEMPORARY}{version}-old"
        (root / name / str(version)).rename(doomed)
        shutil.rmtree(doomed)


def _remove_leftovers(root: Path) -> None:
    """Remove what a killed push left under temporary names."""
    for path in [*root.glob(f"{files.TEMPORARY}*"), *root.glob(f"*/{files.TEMPORARY}*")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _model_names(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(p.name for p in root.iterdir() if p.is_dir() and config.MODEL_NAME.fullmatch(p.name))


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
