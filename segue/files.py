"""Atomic writes: files are written under a temporary name and then renamed, so a target is whole or absent."""

import contextlib
import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segue.errors import InputError

TEMPORARY = ".tmp-"  # prefix of the name of every unfinished file or folder


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; rename it to `target` if the body succeeds.

    The body may create a file or a folder there. If `target` is a folder, it is moved aside first, because a POSIX
    rename replaces a file but not a folder that has files. A symbolic link stays, and the file or folder that it names
    is replaced.
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{TEMPORARY}{target.name}-{uuid.uuid4().hex[:8]}"
    aside = temporary.with_name(temporary.name + "-old")
    try:
        yield temporary
        if temporary.is_dir() and target.is_dir():
            target.rename(aside)
        temporary.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    finally:
        for path in (temporary, aside):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def require_own(folder: Path, manifest: str, fields: set[str], patterns: tuple[str, ...]) -> None:
    """Check that a folder may be replaced: it is absent, empty, or holds only what Segue wrote there.

    Args:
        folder: the folder.
        manifest: the name of the JSON file that Segue writes into it.
        fields: fields that this file has.
        patterns: glob patterns of all files that Segue writes into it.

    Raises:
        InputError: the folder holds something else.
    """
    if not folder.exists():
        return
    fix = f"Move {folder} away, or set SEGUE_HOME to another folder."
    if not folder.is_dir():
        raise InputError(f"Segue keeps a folder at {folder}. A file is there.", fix)
    found = {path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()}
    own = {path.relative_to(folder) for pattern in patterns for path in folder.glob(pattern)}
    foreign = sorted(map(str, found - own))
    if found and not foreign and not _has_fields(folder / manifest, fields):
        foreign = sorted(map(str, found))
    if foreign:
        raise InputError(f"Segue replaces only folders that it wrote. {folder} holds {foreign[0]!r}.", fix)


def _has_fields(manifest: Path, fields: set[str]) -> bool:
    """Whether a file is a JSON object with these fields."""
    try:
        value = read_json(manifest)
    except (OSError, InputError):
        return False
    return isinstance(value, dict) and fields <= value.keys()


def write_text(target: Path, text: str) -> None:
    """Write `text` to `target` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write `value` to `target` as indented JSON, atomically."""
    write_text(target, json_text(value) + "\n")


def json_text(value: Any) -> str:
    """Return `value` as indented JSON. NaN and infinity, for which JSON has no number, become null."""
    return json.dumps(finite(value), indent=2, sort_keys=True, default=str, allow_nan=False)


def finite(value: Any) -> Any:
    """Return `value` with None for each number in it that is not finite."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """The JSON value in `path`.

    Raises:
        InputError: the file is not JSON, for instance because the machine lost power while it was written.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} must be JSON. It is damaged: {error}.", "Restore the file from a copy, or move it away."
        ) from error


def tree_sha256(root: Path) -> str:
    """SHA-256 over the relative names and contents of all files under `root`, sorted by name."""
    digest = hashlib.sha256()
    for path in sorted(p for p in Path(root).rglob("*") if p.is_file()):
        digest.update(os.fsencode(path.relative_to(root).as_posix()))
        digest.update(b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
