"""The files of a local folder, as an object store sees them."""

import hashlib
from pathlib import Path, PurePosixPath

from segue.errors import InputError


def names(folder: Path) -> list[str]:
    """Return the files in a folder and below it as sorted paths with `/`.

    Files and folders whose names begin with a dot are left out: these are locks and unfinished writes.
    """
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder.

    Raises:
        InputError: the name, which came from an object store, leads out of the folder.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise InputError(
            f"A name in the object store is a path below its folder. Received {name!r}.",
            "Delete the object, or publish the folder again.",
        )
    return folder / path
