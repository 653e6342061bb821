"""Which versions are loaded, and which of them answers: the part of the server that follows the disk."""

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
from serving.server import discovery
from serving.server.servable import Servable

log = logging.getLogger("segue.serving")

# ModelVersionStatus.State
START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50

# Ended versions whose folder is gone that a model's status still lists; without a limit it would grow for ever.
REMEMBERED = 100

# When a label may name a version that is not loaded: TF Serving's default, its flag
# --allow_version_labels_for_unavailable_models, and what our own store asks for: all labels move as one, once
# everything that they name is loaded.
LABELS_AVAILABLE, LABELS_UNUSED, LABELS_FOLLOW = "available", "unused", "follow"


@dataclass(frozen=True)
class VersionStatus:
    """What GetModelStatus says of one version; `error` is set if it could not be loaded."""

    state: int
    error: StatusError | None = None


@dataclass(frozen=True)
class Retries:
    """How often a version that does not load is tried again.

    Attributes:
        limit: tries after the first one.
        seconds: between two tries.
    """

    limit: int = 5
    seconds: float = 60.0


@dataclass(frozen=True)
class _Failure:
    """A version that did not load.

    Attributes:
        tries: how often.
        again: when to try again, by the manager's clock; None if never.
        changed: when its folder had last changed; a change begins the tries anew.
        error: the last one.
    """

    tries: int
    again: float | None
    changed: float
    error: StatusError


class ModelManager:
    """Keeps the loaded versions in step with the configuration and the folders.

    New versions are loaded beside the old ones; then all of them, and all labels, change at once; then what
    is no longer wanted is unloaded as its last request ends. A version that fails to load changes nothing.

    Args:
        load: makes a `Servable` from a model's name, version and folder: loads it and warms it up.
        retries: how often to try a version that does not load.
        labels: when a label may name a version that is not loaded, one of the `LABELS_` constants.
        clock: seconds, never running backwards.
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
        self._updating = threading.Lock()  # one update at a time; held while models load
        self._lock = threading.Lock()  # the tables below; held for look-ups only
        self._loaded: dict[str, dict[int, Servable]] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._statuses: dict[str, dict[int, VersionStatus]] = {}
        self._failures: dict[tuple[str, int], _Failure] = {}
        self._warned: set[str] = set()
        # Freeing a model takes a while; neither the requests nor the loading wait for it.
        self._closer = ThreadPoolExecutor(1, thread_name_prefix="segue-serving-unload")

    def reload(self, configs: Sequence[ModelConfig], wait: Callable[[float], bool]) -> None:
        """Replace the models to serve; return when those that are new are loaded, or will never be.

        Args:
            configs: all of the models.
            wait: sleeps so many seconds; true to give up.

        Raises:
            StatusError: a label may not move there, and nothing has changed; or a new model has no version that
                loads, and the rest is done.
        """
        with self._updating:
            self._check_labels(configs)
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
        """Look at the folders, load what is new, move the labels, unload what is no longer wanted.

        Returns:
            Seconds until a version that did not load is to be tried again; None if there is none.
        """
        with self._updating:
            warnings: set[str] = set()
            found = {entry.name: discovery.versions(entry, warnings) for entry in self._configs}
            wanted = {entry.name: entry.wanted(found[entry.name]) for entry in self._configs}
            self._failures = {
                (name, version): failure
                for (name, version), failure in self._failures.items()
                if version in wanted.get(name, ())
            }
            fresh = [
                servable
                for entry in self._configs
                for version in sorted(wanted[entry.name])
                if (servable := self._load_version(entry, version, found[entry.name][version]))
            ]
            labels = self._next_labels(fresh, warnings)
            with self._lock:
                for servable in fresh:
                    self._loaded.setdefault(servable.name, {})[servable.version] = servable
                    self._set_status(servable.name, servable.version, VersionStatus(AVAILABLE))
                self._labels = labels
            self._unload(found, wanted)
            for text in sorted(warnings - self._warned):
                log.warning("%s", text)
            self._warned = warnings
            times = [failure.again for failure in self._failures.values() if failure.again is not None]
        return max(min(times) - self._clock(), 0.0) if times else None

    @contextlib.contextmanager
    def lease(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[Servable]:
        """The version that a `ModelSpec` names, not unloaded while the body runs.

        Raises:
            StatusError: no name, an unknown label, or a version that is not loaded.
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
        """version -> status of a model, newest first, or of the one version asked for.

        Raises:
            StatusError: NOT_FOUND for a model or version that was never seen.
        """
        with self._lock:
            if label is not None:
                version = self._resolve(name, version, label)
            known = dict(sorted(self._statuses.get(name, {}).items(), reverse=True))
        if version is None:
            if not known:
                raise StatusError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
            return known
        if version not in known:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find version {version} of model {name}")
        return {version: known[version]}

    def models(self) -> list[str]:
        """The names of the models that the configuration lists."""
        return [entry.name for entry in self._configs]

    def available(self) -> dict[str, list[int]]:
        """model -> its loaded versions, ascending."""
        with self._lock:
            return {name: sorted(loaded) for name, loaded in self._loaded.items() if loaded}

    def close(self) -> None:
        """Unload everything, after the requests under way."""
        with self._updating:
            self._configs = []
            with self._lock:
                self._labels = {}
            self._unload({}, {})
        self._closer.shutdown()

    def _resolve(self, name: str, version: int | None, label: str | None) -> int | None:
        """The version number that is asked for; None for the latest."""
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
        """Load a version; None if it is loaded already, or if it failed and is not to be tried yet."""
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
                f"it is tried again in {self._retries.seconds:g} s" if state == LOADING else "it is given up",
            )
            with self._lock:
                self._set_status(*key, VersionStatus(state, error))
            return None
        self._failures.pop(key, None)
        log.info("Successfully loaded servable version {name: %s version: %d} in %.2f s", *key, self._clock() - began)
        return servable

    def _failed(self, before: _Failure | None, changed: float, error: StatusError) -> _Failure:
        tries = 1 + (before.tries if before and before.changed == changed else 0)
        again = self._clock() + max(self._retries.seconds, 0.0) if tries <= self._retries.limit else None
        return _Failure(tries, again, changed, error)

    def _retrying(self) -> set[str]:
        """The models that have no version loaded yet and one that will be tried again."""
        waiting = {name for (name, _), failure in self._failures.items() if failure.again is not None}
        return waiting - self.available().keys()

    def _unavailable(self, name: str) -> list[str]:
        """Why a model has no version that answers; empty if it has one."""
        with self._lock:
            if self._loaded.get(name):
                return []
            statuses = self._statuses.get(name, {})
            return [_cause(name, version, status) for version, status in statuses.items()] or [_cause(name)]

    def _unlabelled(self, names: set[str]) -> list[str]:
        """Which configured labels of these models name no version, where labels follow the loading."""
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

    def _check_labels(self, configs: Sequence[ModelConfig]) -> None:
        """Whether the labels may move as a new configuration says.

        Raises:
            StatusError: a label names a version that is not loaded, where that is not allowed.
        """
        if self._label_rule == LABELS_FOLLOW:
            return
        with self._lock:
            for entry in configs:
                known = self._labels.get(entry.name, {})
                for label, version in entry.labels.items():
                    unused = self._label_rule == LABELS_UNUSED and known.get(label, version) == version
                    if version not in self._loaded.get(entry.name, {}) and not unused:
                        raise StatusError(
                            StatusCode.FAILED_PRECONDITION,
                            f"Request to assign label to version {version} of model {entry.name}, "
                            "which is not currently available for inference",
                        )

    def _next_labels(self, fresh: list[Servable], warnings: set[str]) -> dict[str, dict[str, int]]:
        """The labels as configured; where they follow the loading, those of before until all can be had."""
        ready = {(name, version) for name, loaded in self._loaded.items() for version in loaded}
        ready |= {(servable.name, servable.version) for servable in fresh}
        missing = [
            f"Request to assign label to version {version} of model {entry.name}, "
            "which is not currently available for inference"
            for entry in self._configs
            for version in entry.labels.values()
            if (entry.name, version) not in ready
        ]
        if missing and self._label_rule == LABELS_FOLLOW:
            warnings.update(f"{text}; all labels stay where they were" for text in missing)
            return self._labels
        warnings.update(missing)
        return {entry.name: dict(entry.labels) for entry in self._configs}

    def _unload(self, found: dict[str, dict[int, Path]], wanted: dict[str, set[int]]) -> None:
        """Retire what is neither wanted nor labelled; a model's newest stays until something replaces it."""
        with self._lock:
            doomed = []
            for name, loaded in self._loaded.items():
                needed = wanted.get(name, set()) | set(self._labels.get(name, {}).values())
                if name in wanted and loaded and not needed & loaded.keys():
                    needed = {max(loaded)}
                doomed += [loaded.pop(version) for version in sorted(loaded.keys() - needed)]
            for servable in doomed:
                self._set_status(servable.name, servable.version, VersionStatus(UNLOADING))
        for servable in doomed:
            servable.retire(functools.partial(self._closer.submit, self._close, servable))
        with self._lock:
            for name, statuses in self._statuses.items():
                gone = sorted(v for v, s in statuses.items() if s.state == END and v not in found.get(name, ()))
                for version in gone[:-REMEMBERED]:
                    del statuses[version]

    def _close(self, servable: Servable) -> None:
        servable.model.close()
        log.info("Done unloading servable version {name: %s version: %d}", servable.name, servable.version)
        with self._lock:
            self._set_status(servable.name, servable.version, VersionStatus(END))


def _cause(name: str, version: int | None = None, status: VersionStatus | None = None) -> str:
    """Why a version does not answer, as TF Serving lists it."""
    servable = f"{{name: {name}}}" if version is None else f"{{name: {name} version: {version}}}"
    if status is None or status.error is None:
        return f"{servable} due to error: NOT_FOUND: it is not in the base path"
    return f"{servable} due to error: {status.error.code.name}: {status.error.text}"
