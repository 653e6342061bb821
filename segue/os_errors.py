"""What an operating system's error means for a person, by its number."""

import errno
import os
from pathlib import Path

from segue.errors import InputError, SegueError, UnavailableError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A rerun may succeed after these.
PASSING = {
    errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK, errno.ETXTBSY,
    errno.ETIMEDOUT, errno.ESTALE, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH,
}  # fmt: skip
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


def explained(error: OSError) -> SegueError:
    """Return the error of the operating system as an error that a person can act on.

    A full disk and other faults that may pass have exit code 75; all others are faults of the input.
    """
    place = next((str(name) for name in (error.filename2, error.filename) if isinstance(name, str | Path)), "")
    reason = error.strerror or str(error) or type(error).__name__
    headline = f"{reason}: {place}" if place else f"{reason}."
    if error.errno in FULL:
        return UnavailableError(headline, "Free some space and run the command again; nothing half-written is kept.")
    if error.errno in PASSING:
        return UnavailableError(headline, "Run the command again.")
    if error.errno == errno.ENOENT and not working_directory_exists():
        return InputError("The working directory does not exist any more.", "Change to a folder that exists.")
    if error.errno in (errno.ENOTDIR, errno.EEXIST) and (file := file_in_the_way(place)):
        headline = f"A folder is needed where the file {file} is."
    return InputError(headline, FIXES.get(error.errno or 0, "Check the path."))


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
