"""The versions that a label may move to: those of a number, those of the canaries, and only whole ones."""

from collections.abc import Mapping
from pathlib import Path

from segue.errors import InputError
from serving.store.versions import CANARY, STABLE, faults, listed, models, versions


def canaries(root: Path, current: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Model -> the version of its canary, where that is not what is stable; InputError if there is none."""
    found = {name: of[CANARY] for name, of in current.items() if CANARY in of and of[CANARY] != of.get(STABLE)}
    if not found:
        raise InputError(f"There is no candidate in {root}: no {CANARY} differs from {STABLE}.", "Give the version.")
    return found


def having(root: Path, version: int) -> dict[str, int]:
    """Model -> `version`, for the models that have this version; InputError if there is none."""
    found = {name: version for name in models(root) if version in versions(root, name)}
    if not found:
        numbers = sorted({v for name in models(root) for v in versions(root, name)})
        raise InputError(f"No model in {root} has a version {version}.", f"The versions are: {listed(numbers)}.")
    return found


def check_whole(root: Path, name: str, version: int) -> None:
    """Raise InputError if the files of a version have changed since the push."""
    broken = faults(root, name, version)
    if broken:
        raise InputError(
            f"Only a whole version can be promoted; {name} {version}: {broken[0]}.",
            "Push the model again, or promote another version.",
        )
