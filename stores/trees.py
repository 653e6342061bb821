"""Folders in the object store that change as a whole: immutable blobs, and revisions that name them.

    PART/blobs/<SHA-256>                   the bytes of a file; equal files are stored once
    PART/revisions/000000000012.json       {"id": …, "files": {name: {"sha256": …, "size": …, "modified": …}}}

A revision is written last, by a put that succeeds only if its number is free. So a publisher that is killed leaves only
blobs that no revision names, and of two publishers at once one wins. The highest number is the current revision.
"""

import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import utime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segue import files
from segue.errors import InputError, UnavailableError
from segue.lock import latched
from stores import folders
from stores.parallel import in_parallel
from stores.s3 import Bucket, Missing, Stored, Taken

REVISION = re.compile(r"(?:.*/)?revisions/([0-9]{12})\.json")
READS = 3  # of the current revision, because a collector may remove what an older revision names


class Conflict(UnavailableError):
    """Another publisher has made a newer revision, so the change must be made again on top of it."""


class Entry(BaseModel):
    """A file of a revision.

    Attributes:
        sha256: of its bytes, in hexadecimal digits.
        size: bytes.
        modified: the time of its last change, in ns since 1970 (UTC).
    """

    model_config = ConfigDict(frozen=True)

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: int
    modified: int


class Document(BaseModel):
    """The text of a revision. The id tells a publisher whose answer got lost that the revision is its own."""

    id: str
    files: dict[str, Entry]


@dataclass(frozen=True)
class Revision:
    """A state of a folder: its number, and an entry for each file. Number 0 has no files: nothing is published yet."""

    number: int
    files: Mapping[str, Entry]


def current(bucket: Bucket, part: str) -> Revision:
    """Return the newest revision of a part.

    Raises:
        InputError: the bucket is missing or refuses, or the revision is not one that `publish` wrote.
        UnavailableError: the object store does not answer.
    """
    for _ in range(READS):
        number = max(_revisions(bucket, part), default=0)
        try:
            return _read(bucket, part, number) if number else Revision(0, {})
        except Missing:  # newer revisions have come since, and a collector has removed this one
            continue
    raise UnavailableError(
        f"The revisions of {bucket.url}/{part} change too fast to be read.", "Run the command again."
    )


def publish(bucket: Bucket, part: str, folder: Path, base: int) -> int:
    """Make the files of a folder the current revision. Only files that the base revision does not have are sent.

    A folder that is equal to its base is no new revision, so that those who follow do not copy it again. Names that
    begin with a dot are left out. It must take less time than the grace period of `collect`.

    Args:
        bucket: the object store.
        part: the name of the tree, for example `data`.
        folder: the folder.
        base: the number of the revision that the folder was made from; 0 for none.

    Returns:
        The number of the new revision, `base + 1`; `base` if nothing has changed.

    Raises:
        Conflict: `base` is not the current revision any more.
        InputError: the folder does not exist, a file changes meanwhile, or the bucket is missing or refuses.
        UnavailableError: the object store does not answer.
    """
    if not folder.is_dir():
        raise InputError(f"Only a folder can be published. {folder} is none.", "Name a folder that exists.")
    before = current(bucket, part)
    if before.number != base:
        raise _conflict(bucket, part, base)
    entries = dict(in_parallel(lambda name: (name, _entry(folder / name)), folders.names(folder)))
    if base and entries == before.files:
        return base
    stored = {entry.sha256 for entry in before.files.values()}
    # Blobs that are stored but not in the base revision are sent again: a collector may be about to remove them.
    missing = {entry.sha256: folder / name for name, entry in entries.items() if entry.sha256 not in stored}
    in_parallel(lambda sha256: bucket.put_file(_blob(part, sha256), missing[sha256], sha256), missing)
    document = Document(id=uuid.uuid4().hex, files=entries)
    key = _key(part, base + 1)
    try:
        bucket.put(key, document.model_dump_json().encode(), if_absent=True)
    except Taken:
        if not _is_own(bucket, key, document.id):  # it is after an attempt whose answer got lost
            raise _conflict(bucket, part, base) from None
    return base + 1


def pull(bucket: Bucket, part: str, folder: Path) -> int:
    """Make a folder equal to the current revision, and replace it by one rename. Files that are equal are not fetched.

    Returns:
        The number of the revision; 0 if nothing is published yet, and the folder stays as it is.

    Raises:
        InputError: the bucket is missing or refuses, or the revision names a file outside of the folder.
        UnavailableError: the object store does not answer, or gives other bytes than were published.
    """
    with latched(folder):
        for leftover in folder.parent.glob(f"{files.TEMPORARY}{folder.name}-*"):  # of a pull that was killed
            shutil.rmtree(leftover)
        for _ in range(READS):
            revision = current(bucket, part)
            if not revision.number:
                return 0
            if folder.is_dir() and _has(folder, revision.files):
                return revision.number
            try:
                with files.atomic_path(folder) as temporary:
                    temporary.mkdir()
                    download(bucket, part, revision.files, temporary, present=folder)
                return revision.number
            except Missing:  # a collector has removed files that newer revisions do not have
                continue
    raise UnavailableError(f"A blob of {bucket.url}/{part} is missing.", "Publish the part again.")


def download(
    bucket: Bucket, part: str, entries: Mapping[str, Entry], folder: Path, present: Path | None = None
) -> None:
    """Write files of a revision into a folder, each checked by its SHA-256 and with its time of modification.

    Args:
        bucket: the object store.
        part: the name of the tree.
        entries: the files by name.
        folder: the folder; if an error is raised, it has some of the files.
        present: a folder that may have some of the files already; equal files are copied from there.

    Raises:
        Missing: a collector has removed a blob.
        InputError, UnavailableError: as `pull`.
    """

    def write(name: str) -> None:
        entry, path = entries[name], folders.inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if present is not None and _is_equal(present / name, entry):
            shutil.copyfile(present / name, path)
        elif bucket.get_file(_blob(part, entry.sha256), path) != entry.sha256:
            raise UnavailableError(
                f"The object {bucket.url}/{_blob(part, entry.sha256)} has other bytes than were published.",
                "Run the command again; if it says so again, restore the object from a backup.",
            )
        utime(path, ns=(entry.modified, entry.modified))

    in_parallel(write, entries)


def collect(bucket: Bucket, part: str, now: datetime, keep: int = 10, grace: timedelta = timedelta(days=1)) -> int:
    """Delete old revisions, and the blobs that no remaining revision names.

    Args:
        bucket: the object store.
        part: the name of the tree.
        now: the time now, UTC.
        keep: how many of the newest revisions stay; 1 or more.
        grace: younger revisions and blobs stay too, because a publisher may be about to name a blob.

    Returns:
        How many objects were deleted.

    Raises:
        InputError: `keep` is below 1, or the bucket is missing or refuses.
        UnavailableError: the object store does not answer.
    """
    if keep < 1:
        raise InputError(f"A collection keeps at least 1 revision. Received keep={keep}.", "Give keep=1 or more.")
    revisions = _revisions(bucket, part)
    blobs = list(bucket.list(_join(part, "blobs/")))
    old = [number for number in sorted(revisions)[:-keep] if now - revisions[number].modified > grace]
    named = {
        _blob(part, entry.sha256)
        for revision in in_parallel(lambda number: _read(bucket, part, number), revisions.keys() - set(old))
        for entry in revision.files.values()
    }
    unnamed = [stored.key for stored in blobs if stored.key not in named and now - stored.modified > grace]
    bucket.delete(_key(part, number) for number in old)
    bucket.delete(unnamed)  # last, so that a collector that is killed leaves no revision without its blobs
    return len(old) + len(unnamed)


def _join(part: str, name: str) -> str:
    """The key of an object of a part; the part is empty if the bucket's prefix is the tree."""
    return f"{part}/{name}" if part else name


def _key(part: str, number: int) -> str:
    """The key of a revision."""
    return _join(part, f"revisions/{number:012}.json")


def _blob(part: str, sha256: str) -> str:
    """The key of a blob."""
    return _join(part, f"blobs/{sha256}")


def _revisions(bucket: Bucket, part: str) -> dict[int, Stored]:
    """The revisions of a part by number; objects of other names are passed over."""
    stored = bucket.list(_join(part, "revisions/"))
    return {int(match[1]): entry for entry in stored if (match := REVISION.fullmatch(entry.key))}


def _read(bucket: Bucket, part: str, number: int) -> Revision:
    """Read a revision."""
    key = _key(part, number)
    try:
        return Revision(number, Document.model_validate_json(bucket.get(key)).files)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise InputError(f"{bucket.url}/{key} is no revision: {reason}.", "Delete it, or restore it.") from None


def _is_own(bucket: Bucket, key: str, identity: str) -> bool:
    """Whether a revision has this id."""
    try:
        return Document.model_validate_json(bucket.get(key)).id == identity
    except (Missing, ValidationError):
        return False


def _entry(path: Path) -> Entry:
    """The entry of a local file."""
    status = path.stat()
    return Entry(sha256=folders.sha256(path), size=status.st_size, modified=status.st_mtime_ns)


def _has(folder: Path, entries: Mapping[str, Entry]) -> bool:
    """Whether a folder has the files of a revision with their times, and no others."""

    def equal(name: str) -> bool:
        path, entry = folder / name, entries[name]
        return path.stat().st_mtime_ns == entry.modified and _is_equal(path, entry)

    return set(folders.names(folder)) == set(entries) and all(in_parallel(equal, entries))


def _is_equal(path: Path, entry: Entry) -> bool:
    """Whether a local file has the bytes of an entry."""
    return path.is_file() and path.stat().st_size == entry.size and folders.sha256(path) == entry.sha256


def _conflict(bucket: Bucket, part: str, base: int) -> Conflict:
    """The error of a publisher that lost."""
    return Conflict(
        f"Only the newest revision of {bucket.url}/{part} can be changed. Revision {base} is older.",
        "Run the command again; it starts from the newest revision.",
    )
