"""Load and unload versions as the configuration and the disk change, and find the version for a request."""

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from grpc import StatusCode

from serving.protocol.config_files import ModelConfig
from serving.protocol.status import StatusError, invalid
from serving.server import discovery, label_rules
from serving.server.label_rules import LABELS_FOLLOW
from serving.server.servable import Servable

log = logging.getLogger("segue.serving")

# The values of `ModelVersionStatus.State` in TF Serving's API.
START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50

# The status of a model lists this many ended versions whose folders are gone; without a limit it would grow for ever.
REMEMBERED = 100


@dataclass(frozen=True)
class VersionStatus:
    """The state of one version for GetModelStatus, and the error if the version could not be loaded."""

    state: int
    error: StatusError | None = None


@dataclass(frozen=True)
class Retries:
    """How often a version that failed to load is tried again.

    Attributes:
        limit: the number of further tries after the first one.
        seconds: the pause between two tries.
    """

    limit: int = 5
    seconds: float = 60.0


@dataclass(frozen=True)
class _Failure:
    """A version that failed to load.

    Attributes:
        tries: how often it was tried.
        again: when to try again, by the manager's clock; None if it is given up.
        changed: when its folder last changed. A later change starts the count of tries again.
        error: the error of the last try.
    """

    tries: int
    again: float | None
    changed: float
    error: StatusError


class ModelManager:
    """Keeps the loaded versions in step with the configuration and the folders.

    An update has three steps. New versions are loaded beside the old ones. Then all new versions and all labels take
    effect at the same moment. Then each version that is no longer needed is unloaded after its last request. A version
    that fails to load leaves the versions that answer as they are.

    Args:
        load: loads and warms up a version, given the model's name, the version number and the folder.
        retries: how often a version that failed to load is tried again.
        labels: when a label may name a version that is not loaded, a `LABELS_` constant of `label_rules`.
        clock: a monotonic time in seconds.
    """

    def __init__(
        self,
        load: Callable[[str, int, Path], Servable],
        retries: Retries = Retries(),
        labels: str = LABELS_FOLLOW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configs: list[ModelConfig] = []
        self._load = load
        self._retries = retries
        self._label_rule = labels
        self._clock = clock
        # Held during an update, while models load, so that there is one update at a time.
        self._updating = threading.Lock()
        self._lock = threading.Lock()  # guards the tables below; held for look-ups only
        self._loaded: dict[str, dict[int, Servable]] = {}
        self._labels: label_rules.Labels = {}
        self._statuses: dict[str, dict[int, VersionStatus]] = {}
        self._failures: dict[tuple[str, int], _Failure] = {}
        self._warned: set[str] = set()
        # Models are freed on a thread of their own, because that takes a while and nothing needs to wait for it.
        self._closer = ThreadPoolExecutor(1, thread_name_prefix="segue-serving-unload")

    def reload(self, configs: Sequence[ModelConfig], wait: Callable[[float], bool]) -> None:
        """Replace the models to serve; return when each new model has a loaded version or was given up.

        Args:
            configs: the configuration of all models.
            wait: sleeps for a number of seconds, and returns true to give up waiting.

        Raises:
            StatusError: a label may not name its version (then nothing has changed), or a new model has no version that
                loads (then everything else has changed).
        """
        with self._updating:
            with self._lock:
                label_rules.check(self._label_rule, configs, self._labels, self._loaded)
            fresh = {entry.name for entry in configs} - {entry.name for entry in self._configs}
            self._configs = list(configs)
        again = self.update()
        while again is not None and fresh & self._retrying():
            if wait(again):
                break
            again = self.update()
        missing = [text for name in sorted(fresh) for text in self._unavailable(name)]
        if missing := missing or self._unlabelled(fresh):
            listed = "".join(f"{{{text}}}, " for text in missing)
            raise StatusError(StatusCode.UNKNOWN, f"{len(missing)} model(s) did not become available: {{{listed}}}")

    def update(self) -> float | None:
        """Search the folders, load new versions, move the labels, and unload versions that are no longer needed.

        Returns:
            Seconds until the next try of a version that failed to load; None if no version is tried again.
        """
        with self._updating:
            warnings: set[str] = set()
            folders = {entry.name: discovery.versions(entry, warnings) for entry in self._configs}
            wanted = {entry.name: entry.wanted(folders[entry.name]) for entry in self._configs}
            self._failures = {
                (name, version): failure
                for (name, version), failure in self._failures.items()
                if version in wanted.get(name, ())
            }
            fresh = [
                servable
                for entry in self._configs
                for version in sorted(wanted[entry.name])
                if (servable := self._load_version(entry, version, folders[entry.name][version]))
            ]
            ready = {(name, version) for name, loaded in self._loaded.items() for version in loaded}
            ready |= {(servable.name, servable.version) for servable in fresh}
            labels, unready = label_rules.next_labels(self._label_rule, self._configs, self._labels, ready)
            warnings.update(unready)
            with self._lock:
                for servable in fresh:
                    self._loaded.setdefault(servable.name, {})[servable.version] = servable
                    self._set_status(servable.name, servable.version, VersionStatus(AVAILABLE))
                self._labels = labels
            self._unload(folders, wanted)
            for text in sorted(warnings - self._warned):
                log.warning("%s", text)
            self._warned = warnings
            times = [failure.again for failure in self._failures.values() if failure.again is not None]
        return max(min(times) - self._clock(), 0.0) if times else None

    @contextlib.contextmanager
    def lease(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[Servable]:
        """Find the version that a request names, and keep it loaded while the body runs.

        Args:
            name: the model.
            version: the version number; None for the label's version, or without a label for the latest loaded one.
            label: a version label, e.g. `stable`.

        Raises:
            StatusError: the name is empty, the label is unknown, or the version is not loaded.
        """
        with self._lock:
            version = self._resolve(name, version, label)
            loaded = self._loaded.get(name, {})
            servable = loaded.get(max(loaded, default=-1) if version is None else version)
            if servable is None:
                request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise StatusError(StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
            servable.retain()
        try:
            yield servable
        finally:
            servable.release()

    def statuses(self, name: str, version: int | None = None, label: str | None = None) -> dict[int, VersionStatus]:
        """The status of each version of a model, newest first, or of a single version.

        Raises:
            StatusError: NOT_FOUND for a model or a version that the server never tried to load.
        """
        with self._lock:
            if label is not None:
                version = self._resolve(name, version, label)
            statuses = dict(sorted(self._statuses.get(name, {}).items(), reverse=True))
        if version is None:
            if not statuses:
                raise StatusError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
            return statuses
        if version not in statuses:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find version {version} of model {name}")
        return {version: statuses[version]}

    def models(self) -> list[str]:
        """The names of the models in the configuration."""
        return [entry.name for entry in self._configs]

    def available(self) -> dict[str, list[int]]:
        """Model name -> its loaded versions, ascending."""
        with self._lock:
            return {name: sorted(loaded) for name, loaded in self._loaded.items() if loaded}

    def close(self) -> None:
        """Unload every version after its last request."""
        with self._updating:
            self._configs = []
            with self._lock:
                self._labels = {}
            self._unload({}, {})
        self._closer.shutdown()

    def _resolve(self, name: str, version: int | None, label: str | None) -> int | None:
        """The version number that a request names; None for the latest."""
        if not name:
            raise invalid("ModelSpec has no name specified.")
        if label is None:
            return version
        if label not in self._labels.get(name, {}):
            raise invalid(f"Unrecognized servable version label: {label}")
        return self._labels[name][label]

    def _set_status(self, name: str, version: int, status: VersionStatus) -> None:
        self._statuses.setdefault(name, {})[version] = status

    def _load_version(self, entry: ModelConfig, version: int, folder: Path) -> Servable | None:
        """Load a version.

        Returns:
            None if the version is loaded already, fails to load, or failed before and is not due for another try.
        """
        key = entry.name, version
        if version in self._loaded.get(entry.name, {}):
            return None
        changed = discovery.last_change(folder)
        failure = self._failures.get(key)
        if failure and failure.changed == changed and (failure.again is None or self._clock() < failure.again):
            return None
        with self._lock:
            self._set_status(*key, VersionStatus(LOADING, failure.error if failure else None))
        log.info("Loading servable version {name: %s version: %d}", *key)
        began = self._clock()
        try:
            servable = self._load(entry.name, version, folder)
        except StatusError as error:
            self._failures[key] = failed = self._failed(failure, changed, error)
            state = END if failed.again is None else LOADING
            log.error(
                "Loading servable: {name: %s version: %d} failed: %s; %s",
                *key,
                error.text,
                f"it is tried again in {self._retries.seconds:g} s" if state == LOADING else "it is not tried again",
            )
            with self._lock:
                self._set_status(*key, VersionStatus(state, error))
            return None
        self._failures.pop(key, None)
        log.info("Successfully loaded servable version {name: %s version: %d} in %.2f s", *key, self._clock() - began)
        return servable

    def _failed(self, before: _Failure | None, changed: float, error: StatusError) -> _Failure:
        """The record of a failed load, with the tries counted since the folder last changed."""
        tries = 1 + (before.tries if before and before.changed == changed else 0)
        again = self._clock() + max(self._retries.seconds, 0.0) if tries <= self._retries.limit else None
        return _Failure(tries, again, changed, error)

    def _retrying(self) -> set[str]:
        """The models without a loaded version of which a version will be tried again."""
        waiting = {name for (name, _), failure in self._failures.items() if failure.again is not None}
        return waiting - self.available().keys()

    def _unavailable(self, name: str) -> list[str]:
        """Why a model has no loaded version, a text for each version; empty if it has one."""
        with self._lock:
            if self._loaded.get(name):
                return []
            statuses = self._statuses.get(name, {})
            return [_cause(name, version, status) for version, status in statuses.items()] or [_cause(name)]

    def _unlabelled(self, names: set[str]) -> list[str]:
        """Why configured labels of these models are not in effect; empty unless the rule is LABELS_FOLLOW."""
        if self._label_rule != LABELS_FOLLOW:
            return []
        with self._lock:
            return [
                _cause(entry.name, version, self._statuses.get(entry.name, {}).get(version))
                for entry in self._configs
                if entry.name in names
                for label, version in entry.labels.items()
                if self._labels.get(entry.name, {}).get(label) != version
            ]

    def _unload(self, folders: dict[str, dict[int, Path]], wanted: dict[str, set[int]]) -> None:
        """Unload versions that are neither wanted nor labelled; a model keeps its newest until another replaces it."""
        with self._lock:
            unneeded = []
            for name, loaded in self._loaded.items():
                needed = wanted.get(name, set()) | set(self._labels.get(name, {}).values())
                if name in wanted and loaded and not needed & loaded.keys():
                    needed = {max(loaded)}
                unneeded += [loaded.pop(version) for version in sorted(loaded.keys() - needed)]
            for servable in unneeded:
                self._set_status(servable.name, servable.version, VersionStatus(UNLOADING))
        for servable in unneeded:
            servable.retire(functools.partial(self._closer.submit, self._close, servable))
        with self._lock:
            for name, statuses in self._statuses.items():
                gone = sorted(v for v, s in statuses.items() if s.state == END and v not in folders.get(name, ()))
                for version in gone[:-REMEMBERED]:
                    del statuses[version]

    def _close(self, servable: Servable) -> None:
        """Free a version that no request uses any more."""
        servable.model.close()
        log.info("Done unloading servable version {name: %s version: %d}", servable.name, servable.version)
        with self._lock:
            self._set_status(servable.name, servable.version, VersionStatus(END))


def _cause(name: str, version: int | None = None, status: VersionStatus | None = None) -> str:
    """Why a version does not answer, in TF Serving's words."""
    servable = f"{{name: {name}}}" if version is None else f"{{name: {name} version: {version}}}"
    if status is None or status.error is None:
        return f"{servable} due to error: NOT_FOUND: it is not in the base path"
    return f"{servable} due to error: {status.error.code.name}: {status.error.text}"
