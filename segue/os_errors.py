"""What an operating system's error means for a person, by its number or by the words of the library that met it."""

import errno
import os
from pathlib import Path

from segue.errors import InputError, SegueError, UnavailableError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A rerun may succeed after these.
PASSING = {
    errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK,
    errno.ETXTBSY, errno.ETIMEDOUT, errno.ESTALE, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH,
    errno.ENETUNREACH,
}  # fmt: skip
# Libraries such as DuckDB, TensorFlow and Apache Arrow put the system's words into errors of their own.
WORDS = {os.strerror(number): number for number in (*FULL, errno.EIO, errno.EMFILE, errno.EROFS)} | {
    "database or disk is full": errno.ENOSPC,  # SQLite
    "disk I/O error": errno.EIO,
    "attempt to write a readonly database": errno.EROFS,
    "failed to offload data block": errno.ENOSPC,  # DuckDB has no room to spill to
}
FIXES = {
    errno.EROFS: "Use a place that may be written, for instance by SEGUE_HOME.",
    errno.EACCES: "Give yourself the right, or use another place, for instance by SEGUE_HOME.",
    errno.EPERM: "Give yourself the right, or use another place, for instance by SEGUE_HOME.",
    errno.ENAMETOOLONG: "Use a shorter path.",
    errno.ELOOP: "Correct the symbolic links.",
    errno.EISDIR: "Name a file, or move the folder away.",
    errno.EEXIST: "Name another place, or move away what is there.",
    errno.ENOTDIR: "Name a folder, or move the file away.",
}


def explained(error: BaseException) -> SegueError | None:
    """Return an error as one that a person can act on; None if it does not come from the operating system.

    A full disk and other faults that may pass have exit code 75; all others are faults of the input.
    """
    if isinstance(error, SegueError):
        return error
    number = number_of(error)
    if number is None and not isinstance(error, OSError):
        return None
    place = ""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        place = next((str(name) for name in (error.filename2, error.filename) if isinstance(name, str | Path)), "")
        reason = error.strerror
    elif number is not None:
        reason = f"{os.strerror(number)}. {type(error).__name__}: {reason}"
    headline = f"{reason}: {place}" if place else f"{reason.rstrip('.')}."
    if number in FULL:
        return UnavailableError(headline, "Free some space and run the command again; nothing half-written is kept.")
    if number in PASSING:
        return UnavailableError(headline, "Run the command again.")
    if number == errno.ENOENT and not working_directory_exists():
        return InputError("The working directory does not exist any more.", "Change to a folder that exists.")
    if number in (errno.ENOTDIR, errno.EEXIST) and (file := file_in_the_way(place)):
        headline = f"A folder is needed where the file {file} is."
    return InputError(headline, FIXES.get(number or 0, "Check the path."))


def number_of(error: BaseException) -> int | None:
    """Return the system's number of an error, from the error itself or from its words; None if it has neither."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    text = str(error)
    return next((number for words, number in WORDS.items() if words in text), None)


def working_directory_exists() -> bool:
    """Whether the directory of this process still exists."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def file_in_the_way(place: str) -> Path | None:
    """Return the part of a path that is a file, or None."""
    path = Path(place)
    return next((part for part in (path, *path.parents) if part.is_file()), None)
