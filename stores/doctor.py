"""Check each part that holds state: reachable, version, rights, free disk."""

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from segue.errors import InputError, SegueError, UnavailableError
from stores import online_store, registry, tracking
from stores.settings import Settings, shown

FREE_GIB = 2.0  # what a training run on a log of ten million events writes to the home
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """What the doctor found out about one part.

    Attributes:
        part: `home`, `online_store`, `registry`, `objects`, `models` or `tracking`.
        where: its address, with the password masked.
        detail: what it is, if all is well; else the headline of the error.
        fix: what to do; empty if all is well.
        exit_code: 0, or the exit code of the error.
    """

    part: str
    where: str
    detail: str
    fix: str = ""
    exit_code: int = 0


def examine(settings: Settings, home: Path) -> Iterator[Finding]:
    """Check the parts of the profile one after another; a part that fails does not stop the next."""
    yield find("home", str(home), lambda: check_home(home))
    if settings.clustered:
        yield find("online_store", settings.online_store, lambda: online_store.check(settings))
        yield find("registry", settings.registry, lambda: registry.check(settings))
        yield find("objects", settings.objects, lambda: check_objects(settings, str(settings.objects)))
        if settings.models != f"{settings.objects}/models":  # else it has the bucket and the rights of `objects`
            yield find("models", settings.models, lambda: check_objects(settings, str(settings.models)))
    if settings.tracking:
        yield find("tracking", settings.tracking, lambda: tracking.check(str(settings.tracking)))


def find(part: str, where: str | None, check: Callable[[], str]) -> Finding:
    """Run one check."""
    try:
        return Finding(part, shown(where), check())
    except SegueError as error:
        return Finding(part, shown(where), error.headline, error.fix, error.exit_code)


def check_home(home: Path) -> str:
    """Check that the home can be written and has room.

    Raises:
        InputError: it cannot be written.
        UnavailableError: the disk has less than 2 GiB left.
    """
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        raise InputError(
            f"{place} cannot be written: {error.strerror}.", "Correct its rights, or SEGUE_HOME."
        ) from error
    free = shutil.disk_usage(place).free / GIB
    if free < FREE_GIB:
        raise UnavailableError(
            f"The disk of {place} has {free:.1f} GiB left; a run needs {FREE_GIB:.0f} GiB.",
            "Free some, or move the home.",
        )
    return f"{free:.0f} GiB free"


def check_objects(settings: Settings, place: str) -> str:
    """Check that a bucket takes conditional writes, on which every atomic change stands.

    Args:
        settings: the settings in force.
        place: the bucket and the beginning of the keys, `s3://BUCKET[/PREFIX]`.

    Returns:
        What the server calls itself, if it does, and what it let us do.

    Raises:
        InputError: the server refuses the credentials, the bucket or the right, or ignores the condition.
        UnavailableError: it does not answer.
    """
    from stores.s3 import Bucket, Taken

    bucket = Bucket.at(place, settings)
    key = f"doctor/{socket.gethostname()}"
    bucket.delete([key])
    bucket.put(key, b"1", if_absent=True)
    try:
        bucket.put(key, b"2", if_absent=True)
    except Taken:
        return f"{bucket.server() or 'S3'}: read, write, conditional write"
    finally:
        bucket.delete([key])
    raise InputError(
        f"The object store {settings.objects_endpoint or 'of Amazon'} ignores If-None-Match, so two pushes could mix.",
        "Use a server that honours conditional writes: Amazon S3, SeaweedFS 4, MinIO.",
    )
