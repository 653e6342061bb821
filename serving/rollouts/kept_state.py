"""Keep the state of roll-outs: `rollout.json` in the model store, or two keys of Redis where the settings say cluster.

The state is all that a controller knows; the split in it is all that gateways need. Both are written as one, so a
decision is one write wherever it is kept, and nothing is left half done by a process that is killed.
"""

import json
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Protocol

from segue.errors import InputError, UnavailableError
from segue.files import json_text, read_json, write_json
from segue.lock import latched
from stores import online_store
from stores.settings import Settings, settings, shown

NAME = "rollout.json"
KEYS = "segue:{rollout}:state", "segue:{rollout}:split"  # the braces keep both on one node of a cluster
ATTEMPTS = 20  # of a change while other processes change the state
# What is done about a damaged state. A roll-out with the number of an earlier one would be judged by that one's counts.
RESTORE = (
    "Restore it from a copy. Only if no roll-out runs: stop the gateways, remove it and what they counted (`cohorts/` "
    "of each home, or the keys segue:{rollout}:* in Redis), and start them again."
)
PAUSE_SECONDS = 0.01  # after the first attempt that came too late, and so much more after each further one
# One step of the server: both keys are replaced if the state is still the one that was read, or neither is.
REPLACE = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
return 1
"""
# Makes the new state of the one that there is, both as JSON types with the split under `split`; None leaves it.
Edit = Callable[[Any], dict[str, Any] | None]


class StateKeeping(Protocol):
    """Keeps the state.

    Attributes:
        place: Where it is, for errors.

    All methods raise UnavailableError if the keeping does not answer, and InputError if what it has is no JSON.
    """

    place: str

    def state(self) -> Any:
        """Return the state as JSON types; None before the first roll-out."""
        ...

    def split(self) -> Any:
        """Return the split as JSON types; None before the first roll-out."""
        ...

    def stamp(self) -> Hashable:
        """Return what differs once the split was replaced."""
        ...

    def change(self, edit: Edit) -> None:
        """Replace the state by what `edit` makes of it; what `edit` raises is raised, and nothing is written.

        If another process replaces it meanwhile, `edit` is asked again.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class FileState:
    """Keeps the state in a file, which is written whole under a lock of its own.

    The store's lock would not do: a command holds it while a server loads versions.

    Args:
        root: The model store.
    """

    def __init__(self, root: Path) -> None:
        self._path = Path(root) / NAME
        self.place = str(self._path)

    def state(self) -> Any:
        """Return the state (see `StateKeeping`)."""
        try:
            return read_json(self._path)
        except FileNotFoundError:
            return None
        except InputError as damaged:
            raise InputError(damaged.headline, RESTORE) from damaged

    def split(self) -> Any:
        """Return the split (see `StateKeeping`)."""
        state = self.state()
        return state.get("split") if isinstance(state, dict) else state

    def stamp(self) -> Hashable:
        """Return what tells two files apart: two writes may have one time, but not one file."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return None
        return now.st_mtime_ns, now.st_ino, now.st_size

    def change(self, edit: Edit) -> None:
        """Replace the file (see `StateKeeping`)."""
        with latched(self._path):
            after = edit(self.state())
            if after is not None:
                write_json(self._path, after)

    def close(self) -> None:
        """Do nothing: no file stays open."""


class RedisState:
    """Keeps the state in Redis. A change that finds another state than it read begins anew.

    Args:
        settings: The settings of the stores.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = online_store.connect(settings)
        self._replace = self._client.register_script(REPLACE)
        self.place = f"{KEYS[0]} of {shown(settings.online_store)}"

    def state(self) -> Any:
        """Return the state (see `StateKeeping`)."""
        return self._json(self._get(KEYS[0]))

    def split(self) -> Any:
        """Return the split (see `StateKeeping`)."""
        return self._json(self._get(KEYS[1]))

    def stamp(self) -> Hashable:
        """Return the bytes of the split."""
        return self._get(KEYS[1])

    def change(self, edit: Edit) -> None:
        """Replace both keys (see `StateKeeping`)."""
        for attempt in range(ATTEMPTS):
            time.sleep(PAUSE_SECONDS * attempt)
            before = self._get(KEYS[0])
            after = edit(self._json(before))
            if after is None:
                return
            texts = [json_text(after), json_text(after["split"])]
            with online_store.faults(self._settings):
                if self._replace(keys=list(KEYS), args=[before or b"", *texts]):
                    return
        raise UnavailableError(
            f"{self.place} was changed by others {ATTEMPTS} times meanwhile.", "Run the command again."
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _get(self, key: str) -> bytes | None:
        with online_store.faults(self._settings):
            return self._client.get(key)  # type: ignore[return-value]  # the client is not asynchronous

    def _json(self, text: bytes | None) -> Any:
        try:
            return None if text is None else json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.place} must be JSON. It is damaged: {error}.", RESTORE) from error


def state_keeping(root: Path) -> StateKeeping:
    """Return what keeps the state of the roll-outs of a model store, as the settings say. Who asks for it closes it."""
    now = settings()
    return RedisState(now) if now.clustered else FileState(root)
