"""The parts of a home that processes on a cluster share through the object store.

In the profile `embedded` the home itself is shared, and nothing here moves a file.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from segue.clock import utc_now
from segue.errors import UnavailableError
from segue.settings import Home
from stores.settings import Settings, settings

if TYPE_CHECKING:
    from stores.s3 import Bucket

DATA, MODELS, BASELINES, REPORTS = "data", "models", "baselines", "reports"
SURFACES, EXPERIMENTS = "surfaces", "experiments"
ATTEMPTS = 10  # of a change while others change the same part
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
        UnavailableError: the object store does not answer.
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
        UnavailableError: the object store does not answer, or others change the part again and again.
    """
    now = settings()
    if not now.clustered:
        return edit()
    from stores.trees import Conflict, collect, publish

    for _ in range(ATTEMPTS):
        base = pull(now, part, target)
        result = edit()
        try:
            bucket, name = place(now, part)
            number = publish(bucket, name, target, base)
        except Conflict:
            continue
        if number != base and number % COLLECTED == 0:
            collect(bucket, name, utc_now())
        return result
    raise UnavailableError(
        f"The part {part} of the object store was changed by others {ATTEMPTS} times meanwhile.", "Run again later."
    )


def pull(now: Settings, part: str, target: Path) -> int:
    """Make a folder equal to the newest revision of a part, and return the revision's number."""
    from stores import trees

    bucket, name = place(now, part)
    return trees.pull(bucket, name, target)


def place(now: Settings, part: str) -> "tuple[Bucket, str]":
    """Return the bucket of a part and the part's name in it."""
    from stores.s3 import Bucket

    if part == MODELS:
        return Bucket.at(str(now.models), now), ""
    return Bucket.at(str(now.objects), now), part
