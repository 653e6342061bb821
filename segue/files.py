"""Atomic writes: files are written under a temporary name and then renamed, so a target is whole or absent."""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from segue.errors import InputError

TEMPORARY = ".tmp-"  # prefix of the name of every unfinished file or folder
# What `atomic_path` writes for the target `name`, and what libraries put beside it, such as SQLite's journal.
UNFINISHED = re.compile(re.escape(TEMPORARY) + r"(?P<name>.+)-[0-9a-f]{8}(?P<old>-old)?(-[a-z]+)?")


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder; rename it to `target` if the body succeeds.

    The body may create a file or a folder there. A symbolic link stays, and the file or folder that it names is
    replaced. What a killed writer of the same target has left is removed first.
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(target.parent, target.name)
    temporary = target.parent / f"{TEMPORARY}{target.name}-{uuid.uuid4().hex[:8]}"
    with flocked(target.parent, fcntl.LOCK_SH):
        try:
            yield temporary
            if temporary.is_dir() and target.is_dir():  # a POSIX rename replaces no folder that has files
                exchange(temporary, target)
            else:
                temporary.rename(target)
        finally:
            remove(temporary)


@contextlib.contextmanager
def flocked(folder: Path, how: int) -> Iterator[bool]:
    """Hold a lock on a folder, and yield whether it could be had. The kernel ends it with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        had = True
    except OSError:  # held by others, or a file system without locks
        had = False
    try:
        yield had
    finally:
        os.close(descriptor)


def remove_unfinished(folder: Path, name: str | None = None) -> None:
    """Remove from a folder what killed writers of the target `name`, or of any target, have left.

    A writer holds a shared lock on the folder, so nothing is removed while one is at work. An old folder that was moved
    aside for a new one returns if the new one has not taken its place.
    """
    found = {path: match for path in folder.glob(f"{TEMPORARY}*") if (match := UNFINISHED.fullmatch(path.name))}
    left = [path for path, match in found.items() if name in (None, match["name"])]
    if not left:
        return
    with flocked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        for path in left if alone else ():
            target = folder / found[path]["name"]
            if found[path]["old"] and not target.exists():
                path.rename(target)
            else:
                remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def exchange(new: Path, target: Path) -> None:
    """Give two folders each other's name, in one step, so that there is no moment without the target.

    A file system that cannot do so renames the old folder first; if that is the last thing the process does,
    `remove_unfinished` takes it back.
    """
    if exchanged(new, target):
        return
    aside = new.with_name(f"{new.name}-old")
    target.rename(aside)
    try:
        new.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    aside.rename(new)


def exchanged(first: Path, second: Path) -> bool:
    """Exchange two paths by one call of the system; return False if the system or the file system has none."""
    system = ctypes.CDLL(None, use_errno=True)
    here, swap = -100, 2  # AT_FDCWD; RENAME_EXCHANGE of Linux and RENAME_SWAP of macOS
    paths = os.fsencode(first), os.fsencode(second)
    try:
        if sys.platform == "darwin":
            failed = system.renamex_np(*paths, swap)
        else:
            failed = system.renameat2(here, paths[0], here, paths[1], swap)
    except AttributeError:
        return False
    number = ctypes.get_errno()
    if failed and number not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(number, os.strerror(number), str(first), None, str(second))
    return not failed


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
    """Return `value` as indented JSON.

    Dates and times become text of ISO 8601, and other objects, such as paths, theirs. NaN and infinity, for which JSON
    has no number, become null.
    """
    return json.dumps(finite(value), indent=2, sort_keys=True, default=as_text, allow_nan=False)


def as_text(value: Any) -> str:
    """Return a date or time as `2026-03-01T12:00:00+00:00`, and anything else as its text."""
    return value.isoformat() if isinstance(value, date) else str(value)


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
