"""The two ways in which labels move: forth, once a server has loaded the versions, and back, at once.

One push or promotion at a time works on a store, as long as files are copied and servers load (`.lock`). A way back
does not wait for it: the lock of `models.config` is held for one write only.
"""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from segue import files
from segue.errors import InputError, SegueError
from segue.lock import latched
from serving.store import staging
from serving.store.label_file import CONFIG, Labels, check_newly_named, config_text, labels_in, rendered
from serving.store.label_moves import both
from serving.store.versions import CANARY, STABLE

# Tells a running server to move its labels: the texts of `models.config` before and after, and a function that returns
# the text of the moment, because another command may move the labels meanwhile.
Announce = Callable[[str, str, Callable[[], str]], None]
Edit = Callable[[Labels], Labels]  # changes the labels that it is given, and returns them


def relabel(root: Path, edit: Edit, announce: Announce | None = None) -> None:
    """Give the labels that `edit` makes of those that there are, in one write, once a server has loaded the versions.

    If another command moves labels while the server loads, `edit` is asked again.

    Args:
        root: the model store.
        edit: makes the labels.
        announce: moves the labels in a running server first; None writes the file only.

    Raises:
        InputError: a version that no label named is not whole.
        SegueError: the error that `edit` or `announce` raised. No label has moved.
    """
    root = Path(root)
    with locked(root):
        while True:
            before = config_text(root)
            after = edit(labels_in(before))
            if after == labels_in(before):
                return
            check_newly_named(root, labels_in(before), after)
            text = rendered(root, before, after)
            if announce is not None:
                before = _loaded(root, before, text, announce)
            with latched(root / CONFIG):
                if config_text(root) == before and edit(labels_in(before)) == after:
                    files.write_text(root / CONFIG, text)
                    return


def _loaded(root: Path, before: str, after: str, announce: Announce) -> str:
    """Have a server load what `after` names, and return the text of `models.config` meanwhile.

    Meanwhile the file names the old and the new versions, under the old labels. With the old versions alone, a server
    that polls the file would unload the new ones at each poll, and would never finish loading them.

    Args:
        root: the model store, which is locked.
        before, after: texts of `models.config`.
        announce: moves the labels in the server.

    Raises:
        SegueError: the error that `announce` raised; the file is as it was, unless another command has written it.
    """
    loading = both(before, after)
    if not _replaced(root, before, loading):
        return before  # another command has moved labels
    try:
        announce(loading, after, partial(config_text, root))
    except SegueError:
        _replaced(root, loading, before)
        raise
    return loading


def _replaced(root: Path, before: str, after: str) -> bool:
    """Whether `models.config` was `before`; then it is `after` now."""
    with latched(root / CONFIG):
        if config_text(root) != before:
            return False
        if after != before:
            files.write_text(root / CONFIG, after)
        return True


def put_back(root: Path, edit: Edit, announce: Announce | None = None) -> None:
    """Give labels back to versions that answered before: one write, which waits for no push, promotion or server.

    Args:
        root: the model store.
        edit: makes the labels.
        announce: tells a running server afterwards, also if the labels are there already: it may have missed them.

    Raises:
        InputError: a version that no label named is not whole, or `edit` refuses. No label has moved.
        SegueError: the error that `announce` raised. The labels have moved in `models.config`.
    """
    root = Path(root)
    _require(root)
    with latched(root / CONFIG):
        before = config_text(root)
        after = edit(labels_in(before))
        if after != labels_in(before):
            check_newly_named(root, labels_in(before), after)
            files.write_text(root / CONFIG, rendered(root, before, after))
    if announce is not None:
        announce(before, config_text(root), partial(config_text, root))


def point(names: dict[str, int], label: str, version: int) -> None:
    """Point a label of a model to a version. A `canary` that names what is stable goes along with `stable`."""
    along = label == STABLE and STABLE in names and names.get(CANARY) == names[STABLE]
    names.update({label: version, CANARY: version} if along else {label: version})


def remove_leftovers(root: Path) -> None:
    """Remove what killed commands have left half-written in a store, unless a push or promotion is at work."""
    if not root.is_dir():
        return
    with (root / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        files.remove_unfinished(root)
        staging.remove_leftovers(root)


def _require(root: Path) -> None:
    """Raise InputError if the store does not exist."""
    if not root.is_dir():
        raise InputError(f"The model store {root} does not exist.", "Push a model first: `segue run training`.")


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Let one push or promotion at a time work on the store; what it leaves half-written is removed.

    If it is killed, the next one does so. The kernel holds the lock, so it ends with a killed writer.
    """
    _require(root)
    with (root / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        staging.remove_leftovers(root)
        try:
            yield
        finally:
            staging.remove_leftovers(root)
