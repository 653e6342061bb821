"""What a running gateway follows: the catalogue, the layout policy, and the listeners who are to be forgotten."""

import asyncio
import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from events.journal.keeping import Keeping, tombstone
from segue.errors import SegueError
from segue.settings import MODEL_CARD, Home
from serving.store.model_store import stable
from surfaces.catalogue import Catalogue
from surfaces.read_catalogue import read_catalogue

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks at the files
BRING_SECONDS = 60.0  # between two looks at the object store
Stamp = tuple[int, ...]  # of files: when each was written, in nanoseconds; it differs if one of them changes
Value = TypeVar("Value")


async def follow(
    name: str,
    stamp: Callable[[], Stamp],
    before: Stamp,
    read: Callable[[], Value],
    use: Callable[[Value], None],
    seconds: float = LOOK_SECONDS,
) -> None:
    """Read something again whenever its files change, for ever. The event loop goes on: files are read in a thread.

    Files that cannot be read are logged, and what was read last stays until they change again.

    Args:
        name: of what is read, for the log.
        stamp: of its files now.
        before: of the files that were read last, taken before they were read.
        read: reads it.
        use: takes what was read, in the event loop.
        seconds: between two looks.
    """
    while True:
        await asyncio.sleep(seconds)
        try:
            now = await asyncio.to_thread(stamp)
            if now != before:
                before = now
                use(await asyncio.to_thread(read))
        except Exception as error:  # whatever the files hold, the next change is looked at
            log.error("the %s stays as it was: %s", name, error)


async def repeat(name: str, bring: Callable[[], None], seconds: float) -> None:
    """Bring the newest files in a thread, for ever; while they cannot be brought the last ones stay.

    Args:
        name: of the files, for the log.
        bring: brings them.
        seconds: before each call.
    """
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(bring)
        except Exception as error:  # the next call may succeed
            log.error("the newest %s could not be brought: %s", name, error)


async def follow_forgotten(
    keeping: Keeping, forget: Callable[[Callable[[str], bool]], None], seconds: float = LOOK_SECONDS
) -> None:
    """Forget the listeners whom `segue data forget` has deleted meanwhile, for ever.

    Args:
        keeping: of the journal, which has their tombstones.
        forget: drops what is remembered of the listeners for whom a function is true.
        seconds: between two looks.
    """
    identity, seen = "", None
    while True:
        try:
            identity = identity or await asyncio.to_thread(keeping.identity)
            now = await asyncio.to_thread(keeping.forgotten)
            gone = {name for place, name in now.items() if seen is not None and place not in seen}
            if gone:
                forget(lambda user_id: tombstone(identity, user_id) in gone)  # noqa: B023  (called at once)
            seen = now
        except SegueError as error:
            log.error("the journal does not say who was forgotten: %s", error)
        await asyncio.sleep(seconds)


def catalogue_stamp(home: Home) -> Stamp:
    """Of the imported data, and of the items that were added to the served retrieval model."""
    folder = stable(home.models).get("retrieval")
    return written(home.data / "manifest.json"), written(folder / MODEL_CARD) if folder else 0


def read_warm(home: Home) -> Catalogue:
    """The catalogue of a home with everything that is derived from it, so that no request waits for that.

    Raises:
        InputError: nothing was imported.
    """
    catalogue = read_catalogue(home)
    for name, member in vars(Catalogue).items():
        if isinstance(member, cached_property):
            getattr(catalogue, name)
    return catalogue


def policy_stamp(home: Home) -> Stamp:
    """Of the layout policy that serves."""
    return (written(home.layout_policy),)


def written(path: Path) -> int:
    """When a file was written, in nanoseconds; 0 without a file."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
