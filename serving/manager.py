"""Which versions are loaded, and which of them answers: the part of the server that follows the disk."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grpc import StatusCode

from segue.errors import SegueError
from serving import config
from serving.config import ModelConfig
from serving.loader import LoadedModel
from serving.status import StatusError, invalid

log = logging.getLogger("segue.serving")

# ModelVersionStatus.State
START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50


@dataclass(frozen=True)
class VersionStatus:
    """What GetModelStatus says of one version; `error` is set if it could not be loaded."""

    state: int
    error: StatusError | None = None


@dataclass
class Servable:
    """A loaded version, and how many requests are using it."""

    name: str
    version: int
    model: LoadedModel
    users: int = 0
    retired: bool = False


class ModelManager:
    """Keeps the loaded versions in step with the configuration and the folders.

    New versions are loaded beside the old ones; then all of them, and all labels, change at once; then what
    is no longer wanted is unloaded as its last request ends. A version that fails to load changes nothing.

    Args:
        configs: the models to serve.
        load: makes a `LoadedModel` from a version's folder.
    """

    def __init__(self, configs: Sequence[ModelConfig], load: Callable[[Path], LoadedModel]) -> None:
        self._configs = list(configs)
        self._load = load
        self._updating = threading.Lock()  # one update at a time; held while models load
        self._lock = threading.Lock()  # the tables below; held for look-ups only
        self._loaded: dict[str, dict[int, Servable]] = {}
        self._labels: dict[str, dict[str, int]] = {}
        self._statuses: dict[str, dict[int, VersionStatus]] = {}
        self._failed: dict[tuple[str, int], float] = {}  # when the folder of a broken version last changed
        self._warned: set[str] = set()

    def update(self, configs: Sequence[ModelConfig] | None = None) -> None:
        """Look at the folders, load what is new, move the labels, unload what is no longer wanted.

        Args:
            configs: replaces the models to serve, if given.
        """
        with self._updating:
            if configs is not None:
                self._configs = list(configs)
            warnings: set[str] = set()
            found = {entry.name: _versions(entry, warnings) for entry in self._configs}
            fresh = [
                servable
                for entry in self._configs
                for version in sorted(entry.wanted(found[entry.name]))
                if (servable := self._load_version(entry, version))
            ]
            labels = self._next_labels(fresh, warnings)
            with self._lock:
                for servable in fresh:
                    self._loaded.setdefault(servable.name, {})[servable.version] = servable
                    self._set_status(servable.name, servable.version, VersionStatus(AVAILABLE))
                self._labels = labels
            self._unload(found)
            for text in sorted(warnings - self._warned):
                log.warning("%s", text)
            self._warned = warnings

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
            servable.users += 1
        try:
            yield servable
        finally:
            with self._lock:
                servable.users -= 1
                idle = servable.retired and not servable.users
            if idle:
                self._close(servable)

    def statuses(self, name: str, version: int | None = None, label: str | None = None) -> dict[int, VersionStatus]:
        """version -> status of a model, newest first, or of the one version asked for.

        Raises:
            StatusError: NOT_FOUND for a model or version that was never seen.
        """
        with self._lock:
            version = self._resolve(name, version, label)
            known = dict(sorted(self._statuses.get(name, {}).items(), reverse=True))
        if version is None:
            if not known:
                raise StatusError(StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
            return known
        if version not in known:
            raise StatusError(StatusCode.NOT_FOUND, f"Could not find version {version} of model {name}")
        return {version: known[version]}

    def problems(self) -> list[str]:
        """Why some model or label that the configuration names does not answer; empty if all do."""
        with self._lock:
            texts = []
            for entry in self._configs:
                if not self._loaded.get(entry.name):
                    broken = [
                        f"version {version}: {status.error}"
                        for version, status in self._statuses.get(entry.name, {}).items()
                        if status.error
                    ]
                    texts.append(
                        f"model {entry.name}: " + ("; ".join(broken) or f"no versions under {entry.base_path}")
                    )
                    continue
                for label, version in entry.labels.items():
                    if self._labels.get(entry.name, {}).get(label) != version:
                        error = self._statuses.get(entry.name, {}).get(version, VersionStatus(END)).error
                        texts.append(
                            f"model {entry.name}: label {label} names version {version}, which is not "
                            f"available: {error or 'it is not in the base path'}"
                        )
            return texts

    def available(self) -> dict[str, list[int]]:
        """model -> its loaded versions, ascending."""
        with self._lock:
            return {name: sorted(loaded) for name, loaded in self._loaded.items() if loaded}

    def close(self) -> None:
        """Unload everything. No request may be under way."""
        with self._updating, self._lock:
            for loaded in self._loaded.values():
                for servable in loaded.values():
                    servable.model.close()
            self._loaded, self._labels, self._statuses = {}, {}, {}

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

    def _load_version(self, entry: ModelConfig, version: int) -> Servable | None:
        """Load a version; None if it is loaded already, or is broken and has not changed since it failed."""
        if version in self._loaded.get(entry.name, {}):
            return None
        folder = entry.base_path / str(version)
        changed = _last_change(folder)
        if self._failed.get((entry.name, version)) == changed:
            return None
        with self._lock:
            self._set_status(entry.name, version, VersionStatus(LOADING))
        log.info("loading version %d of model %s", version, entry.name)
        try:
            servable = Servable(entry.name, version, self._load(folder))
        except StatusError as error:
            log.error("version %d of model %s cannot be loaded: %s", version, entry.name, error.text)
            self._failed[entry.name, version] = changed
            with self._lock:
                self._set_status(entry.name, version, VersionStatus(END, error))
            return None
        self._failed.pop((entry.name, version), None)
        return servable

    def _next_labels(self, fresh: list[Servable], warnings: set[str]) -> dict[str, dict[str, int]]:
        """The labels as configured if all of them can be had, else those of before: they move as one."""
        ready = {(name, version) for name, loaded in self._loaded.items() for version in loaded}
        ready |= {(servable.name, servable.version) for servable in fresh}
        missing = [
            f"Request to assign label to version {version} of model {entry.name}, "
            "which is not currently available for inference; all labels stay where they were"
            for entry in self._configs
            for version in entry.labels.values()
            if (entry.name, version) not in ready
        ]
        warnings.update(missing)
        if missing:
            return self._labels
        return {entry.name: dict(entry.labels) for entry in self._configs}

    def _unload(self, found: dict[str, set[int]]) -> None:
        """Retire what is neither wanted nor labelled; a model's newest stays until something replaces it."""
        wanted = {entry.name: entry.wanted(found[entry.name]) for entry in self._configs}
        with self._lock:
            doomed = []
            for name, loaded in self._loaded.items():
                needed = wanted.get(name, set()) | set(self._labels.get(name, {}).values())
                if name in wanted and loaded and not needed & loaded.keys():
                    needed = {max(loaded)}
                doomed += [loaded.pop(version) for version in sorted(loaded.keys() - needed)]
            for servable in doomed:
                servable.retired = True
                self._set_status(servable.name, servable.version, VersionStatus(UNLOADING))
            idle = [servable for servable in doomed if not servable.users]
        for servable in idle:
            self._close(servable)
        with self._lock:
            for name, statuses in self._statuses.items():
                for version in [v for v, s in statuses.items() if s.state == END and v not in found.get(name, ())]:
                    del statuses[version]  # its folder is gone too; without this the list would grow for ever

    def _close(self, servable: Servable) -> None:
        servable.model.close()
        log.info("unloaded version %d of model %s", servable.version, servable.name)
        with self._lock:
            self._set_status(servable.name, servable.version, VersionStatus(END))


def _versions(entry: ModelConfig, warnings: set[str]) -> set[int]:
    """The versions in a model's base path."""
    try:
        found = {int(p.name) for p in entry.base_path.iterdir() if config.VERSION.fullmatch(p.name) and p.is_dir()}
    except OSError as error:
        warnings.add(f"Could not find base path {entry.base_path} for servable {entry.name}: {error.strerror}")
        return set()
    if not found:
        warnings.add(
            f"No versions of servable {entry.name} found under base path {entry.base_path}. "
            "Did you forget to name your leaf directory as a number (eg. '/1/')?"
        )
    for version in sorted(set(entry.specific) - found):
        warnings.add(
            f"Version {version} of servable {entry.name}, which was requested to be served as a 'specific' "
            "version in the servable's version policy, was not found in the file system"
        )
    return found


def _last_change(folder: Path) -> float:
    """When anything in a version's folder last changed: a copy still under way is tried again."""
    times = []
    for path in [folder, *folder.rglob("*")]:
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times, default=0.0)


def not_ready(problems: Sequence[str]) -> SegueError:
    """The error of a server that cannot start."""
    return SegueError(
        f"Some models did not become available: {'; '.join(problems)}.",
        "Correct the path, or point the label or the version policy at a version that loads.",
    )
