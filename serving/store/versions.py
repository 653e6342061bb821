"""The versions in a model store, and whether the files of each are still as they were pushed.

A push writes the SHA-256 of every file of a version into `segue_checksum.json` in the folder of the version.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from segue import files
from segue.errors import InputError
from serving.protocol import config_files

# TF Serving ignores this file, as it ignores all files in the folder of a version that it does not use.
CHECKSUMS = "segue_checksum.json"

STABLE, CANARY = "stable", "canary"  # the labels that a push moves


def models(root: Path) -> list[str]:
    """The names of the models that have a version in the store, sorted."""
    if not Path(root).is_dir():
        return []
    names = sorted(p.name for p in Path(root).iterdir() if p.is_dir() and config_files.MODEL_NAME.fullmatch(p.name))
    return [name for name in names if versions(root, name)]


def versions(root: Path, model: str) -> list[int]:
    """The version numbers of a model, ascending; empty if the model is not in the store."""
    folder = Path(root) / model
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if p.is_dir() and config_files.VERSION.fullmatch(p.name))


def pushed_at(root: Path, model: str, version: int) -> datetime | None:
    """When a version was pushed, UTC; None if the version has no checksum file, so no push wrote it."""
    try:
        written = (Path(root) / model / str(version) / CHECKSUMS).stat().st_mtime
    except FileNotFoundError:
        return None
    return datetime.fromtimestamp(written, UTC)


def verify(root: Path, model: str, version: int) -> bool:
    """Whether a version is whole: all its files are as they were pushed.

    Raises:
        InputError: the version is not in the store.
    """
    return not faults(root, model, version)


def faults(root: Path, model: str, version: int) -> list[str]:
    """The differences between the files of a version and those that were pushed, a phrase a file; empty if none.

    Raises:
        InputError: the version is not in the store.
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
    except InputError:
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
    """Write the checksums of all files in a folder into the folder."""
    files.write_json(folder / CHECKSUMS, _checksums(folder))


def listed(numbers: list[int]) -> str:
    """Version numbers as text, e.g. `1, 2`; `none` if there are none."""
    return ", ".join(map(str, numbers)) or "none"


def _checksums(folder: Path) -> dict[str, str]:
    """Relative file name -> SHA-256, for every file in a folder except the checksum file."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != CHECKSUMS:
            with path.open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
