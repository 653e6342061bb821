"""The parts of a home that processes on a cluster share through the object store.

In the profile `embedded` the home itself is shared, and nothing here moves a file.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from segue.clock import utc_now
from segue.errors import UnavailableError
from segue.lock import locked
from segue.settings import Home
from stores.settings import Settings, settings

if TYPE_CHECKING:
    from stores.s3 import Bucket

DATA, MODELS, BASELINES, REPORTS = "data", "models", "baselines", "reports"
SURFACES, EXPERIMENTS = "surfaces", "experiments"
ATTEMPTS = 10  # of a change while others change the same part
READ_SECONDS = 60.0  # that a reader waits for a change of the same part in the same home
CHANGE_SECONDS = 600.0  # that a change waits for another one: it may end hours of training
COLLECTED = 10  # after so many changes, what no recent state names is removed

Result = TypeVar("Result")


def folder(home: Home, part: str) -> Path:
    """Return the folder of a part in a home."""
    return {
        DATA: home.data,
        MODELS: home.models,
        BASELINES: home.baselines,
        REPORTS: home.reports,
        SURFACES: home.surfaces,
        EXPERIMENTS: home.experiments,
    }[part]


def home_with(*parts: str) -> Home:
    """Return the home of this process, with the newest state of some parts.

    Raises: as `bring`.
    """
    home = Home.from_env()
    bring(home, *parts)
    return home


def bring(home: Home, *parts: str) -> None:
    """Make the folders of parts equal to what was published last. What was never published stays as it is.

    Raises:
        InputError: the object store refuses.
        UnavailableError: the object store does not answer, or another process changes a part of this home.
    """
    now = settings()
    if now.clustered:
        for part in parts:
            pull(now, part, folder(home, part))


def bring_newer(home: Home, seen: dict[str, int], *parts: str) -> None:
    """Do as `bring` with those parts that were published since the last call.

    Args:
        home: the home.
        seen: the revision of each part that was brought last; this call writes down what it brings.
        parts: the parts.

    Raises: as `bring`.
    """
    from stores import trees

    now = settings()
    if now.clustered:
        for part in parts:
            if trees.current(*place(now, part)).number != seen.get(part):
                seen[part] = pull(now, part, folder(home, part))


def change(home: Home, part: str, edit: Callable[[], Result]) -> Result:
    """Change the folder of a part of a home and publish it; otherwise as `change_folder`."""
    return change_folder(folder(home, part), part, edit)


def change_folder(target: Path, part: str, edit: Callable[[], Result]) -> Result:
    """Change the folder of a part and publish it, as a whole: others see the part before the change or after it.

    Args:
        target: the folder.
        part: the part.
        edit: changes the folder. It is called again on the newest state if another process published meanwhile.

    Returns:
        The result of `edit`.

    Raises:
        InputError: the object store refuses.
        UnavailableError: the object store does not answer, another process of this home is at it for long, or others
            change the part again and again.
    """
    now = settings()
    if not now.clustered:
        return edit()
    from stores import trees

    bucket, name = place(now, part)
    with held(target, f"a change of {part}", CHANGE_SECONDS):
        for _ in range(ATTEMPTS):
            base = trees.pull(bucket, name, target)
            result = edit()
            try:
                number = trees.publish(bucket, name, target, base)
            except trees.Conflict:
                continue
            if number != base and number % COLLECTED == 0:
                trees.collect(bucket, name, utc_now())
            return result
    raise UnavailableError(
        f"The part {part} of the object store was changed by others {ATTEMPTS} times meanwhile.", "Run again later."
    )


def pull(now: Settings, part: str, target: Path) -> int:
    """Make a folder equal to the newest revision of a part, and return the revision's number."""
    from stores import trees

    bucket, name = place(now, part)
    with held(target, f"a copy of {part}", READ_SECONDS):
        return trees.pull(bucket, name, target)


def held(target: Path, purpose: str, seconds: float) -> AbstractContextManager:
    """Hold a part in this home: a pull of another process would take back a change that is not published yet.

    It is not the lock of the folder, which edits take. A pull inside of an edit of the same part ends in an error.
    """
    return locked(target.with_name(f".{target.name}.part.lock"), purpose, utc_now(), seconds)


def place(now: Settings, part: str) -> "tuple[Bucket, str]":
    """Return the bucket of a part and the part's name in it."""
    from stores.s3 import Bucket

    if part == MODELS:
        return Bucket.at(str(now.models), now), ""
    return Bucket.at(str(now.objects), now), part
