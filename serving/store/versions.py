"""The versions that a model store holds, and whether each is still what was pushed.

A version's folder has the SHA-256 of each of its files in a file beside them.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from segue import files
from segue.errors import InputError
from serving.protocol import config_files as config

# TF Serving leaves files in a version's folder that it does not know alone.
CHECKSUMS = "segue_checksum.json"


def models(root: Path) -> list[str]:
    """The names of all models that have a version in the store, sorted."""
    if not Path(root).is_dir():
        return []
    names = sorted(p.name for p in Path(root).iterdir() if p.is_dir() and config.MODEL_NAME.fullmatch(p.name))
    return [name for name in names if versions(root, name)]


def versions(root: Path, model: str) -> list[int]:
    """The version numbers of a model, ascending; empty if the store does not have the model."""
    folder = Path(root) / model
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if p.is_dir() and config.VERSION.fullmatch(p.name))


def pushed_at(root: Path, model: str, version: int) -> datetime | None:
    """When a version was pushed, UTC; None if this store did not push it."""
    try:
        written = (Path(root) / model / str(version) / CHECKSUMS).stat().st_mtime
    except FileNotFoundError:
        return None
    return datetime.fromtimestamp(written, UTC)


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
            f"Its versions are: {listed(versions(root, model))}.",
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


def write_checksums(folder: Path) -> None:
    """Keep the checksums of all files under `folder` in it."""
    files.write_json(folder / CHECKSUMS, _checksums(folder))


def listed(numbers: list[int]) -> str:
    """Version numbers for an error's text."""
    return ", ".join(map(str, numbers)) or "none"


def _checksums(folder: Path) -> dict[str, str]:
    """Relative file name -> SHA-256 of every file under `folder` but the checksum file itself."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != CHECKSUMS:
            with path.open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
