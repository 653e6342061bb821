"""Keep a local folder equal to the model store in the object store: the sidecar and the init container of a server.

    python -m serving.store.sync --folder DIR [--once]

The server reads the folder while it changes. So new versions come first, each by one rename. Then `models.config`
names them, with the base paths of this folder, and its labels stay as they are. When the server has loaded the
versions, `models.config` moves the labels. Versions that the store no longer has go last, after a grace period in which
the server stops reading them. `DIR/.synced` has the last revision that the folder was equal to, and when.

This module does not import TensorFlow.
"""

import os
import shutil
import signal
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from segue import files
from segue.clock import utc_now
from segue.entry import enter
from segue.errors import InputError, SegueError
from segue.os_errors import explained
from segue.terminal import say
from serving.protocol import text_protos
from serving.protocol.config_files import MODEL_NAME, VERSION
from serving.store import staging, versions
from serving.store.label_moves import between, labelled, named
from serving.store.own_paths import relocated
from serving.store.unloaded import check_address, unloaded
from stores import folders, trees
from stores.s3 import Bucket
from stores.settings import settings

CONFIG = "models.config"
SYNCED = ".synced"
POLL_SECONDS = 5
LOADING_SECONDS = 1  # between two questions to a server that is loading versions
GRACE = timedelta(minutes=2)  # a server polls models.config every few seconds, and then unloads


class Mirror:
    """A folder that follows the revisions of a model store.

    Args:
        bucket: the place of the model store.
        folder: the folder; it is made if it does not exist.
        server: the REST address of the server that reads the folder, `host:port`; None if none does yet.

    Attributes:
        waiting: what the server has not loaded yet, so that the labels stay where they were; empty if they have moved.
    """

    def __init__(self, bucket: Bucket, folder: Path, server: str | None = None) -> None:
        self.bucket = bucket
        self.server = server
        self.waiting = ""
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        staging.remove_leftovers(self.folder)
        self._number = 0  # of the revision whose versions the folder has
        self._config = ""  # the text of its `models.config`
        self._unnamed_since: dict[str, datetime] = {}  # `<model>/<version>` -> when it was first not in the store

    def sync(self, now: datetime) -> int:
        """Make the folder equal to the newest revision, but for the labels of versions that the server must load first.

        Args:
            now: the time now, UTC.

        Returns:
            The number of the revision; 0 if no model has been pushed yet, and the folder stays as it is.

        Raises:
            InputError: the bucket is missing or refuses.
            UnavailableError: the object store does not answer, or gives other bytes than were pushed.
        """
        if self.waiting:  # first, because it needs no object store
            self._write_config()
        revision = trees.current(self.bucket, "")
        if CONFIG not in revision.files:
            return 0
        pushed = _by_version(revision.files)
        if revision.number != self._number:
            for version, entries in pushed.items():
                self._fetch(version, entries)
            self._config = self._fetch_config(revision.files[CONFIG])
            self._write_config()
            self._number = revision.number
        self._remove_old(pushed, now)
        if not self.waiting:
            files.write_json(self.folder / SYNCED, {"revision": revision.number, "time": now.isoformat()})
        return revision.number

    def _fetch(self, version: str, entries: Mapping[str, trees.Entry]) -> None:
        """Bring the folder of a version, unless it is there with the same names, sizes and times."""
        target = self.folder / version
        present = {name: (target / name).stat() for name in folders.names(target)}
        if {name: (status.st_size, status.st_mtime_ns) for name, status in present.items()} == {
            name: (entry.size, entry.modified) for name, entry in entries.items()
        }:
            return
        with files.atomic_path(target) as temporary:
            trees.download(self.bucket, "", entries, temporary)

    def _fetch_config(self, entry: trees.Entry) -> str:
        """Bring the text of `models.config`, with the base paths of this folder."""
        temporary = self.folder / f"{files.TEMPORARY}{CONFIG}"
        trees.download(self.bucket, "", {CONFIG: entry}, temporary)
        text = (temporary / CONFIG).read_text(encoding="utf-8")
        shutil.rmtree(temporary)
        return relocated(text, self.folder)

    def _write_config(self) -> None:
        """Write `models.config`; the labels stay as they are until the server has loaded what they shall name."""
        path, text, waiting = self.folder / CONFIG, self._config, ""
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        if self.server and before and text != before:
            old, new = _parsed(before), _parsed(text)
            # Until the file names a version, the server may unload it at any moment, so its answer does not count.
            fresh = [
                f"{model} {version} has just come"
                for model, version in labelled(new)
                if (model, version) not in named(old)
            ]
            waiting = "; ".join(fresh or unloaded(self.server, labelled(new)))
            if waiting:
                text = text_format.MessageToString(between(old, new))
        if text != before:
            files.write_text(path, text)
        self.waiting = waiting

    def _remove_old(self, pushed: Mapping[str, object], now: datetime) -> None:
        """Remove the versions that neither the store nor `models.config` has had for the grace period."""
        local = {
            f"{model}/{v}" for model in versions.models(self.folder) for v in versions.versions(self.folder, model)
        }
        config = _parsed((self.folder / CONFIG).read_text(encoding="utf-8"))
        unnamed = local - pushed.keys() - {f"{model}/{v}" for model, v in named(config)}
        self._unnamed_since = {version: self._unnamed_since.get(version, now) for version in unnamed}
        for version, since in self._unnamed_since.items():
            if now - since >= GRACE:
                staging.remove(self.folder / version)


def _parsed(text: str) -> Any:
    """The `ModelServerConfig` of a text; InputError if it is none."""
    return text_protos.parse(text, ModelServerConfig(), CONFIG, "Push the models again.")


def _by_version(entries: Mapping[str, trees.Entry]) -> dict[str, dict[str, trees.Entry]]:
    """`<model>/<version>` -> the files in this folder by name. A server reads no other files of a store."""
    pushed: dict[str, dict[str, trees.Entry]] = {}
    for name, entry in entries.items():
        model, _, rest = name.partition("/")
        version, _, inner = rest.partition("/")
        if inner and MODEL_NAME.fullmatch(model) and VERSION.fullmatch(version):
            pushed.setdefault(f"{model}/{version}", {})[inner] = entry
    return pushed


def follow(mirror: Mirror, once: bool) -> None:
    """Sync every 5 seconds for ever, or until the first success. A change of the folder's state is said once.

    So is an error until it is over or another kind of error comes: a server that starts refuses in several words.
    After an error it is tried again. While the server loads versions, it is asked every second.

    Args:
        mirror: the folder.
        once: end as soon as the folder equals a revision.
    """
    said: str | type = ""
    while True:
        number, pause = 0, POLL_SECONDS
        try:
            number = mirror.sync(utc_now())
            line = f"{mirror.folder} has revision {number}" if number else f"waiting for a push to {mirror.bucket.url}"
            if mirror.waiting:
                pause = LOADING_SECONDS
                line = f"labels move to revision {number} when the server has loaded it: {mirror.waiting}"
            told: str | type = line
        except (SegueError, OSError) as caught:
            error = explained(caught) if isinstance(caught, OSError) else caught
            line, told = f"error: {error} Trying again every {POLL_SECONDS} s.", type(error)
        if told != said:
            say(line)
            said = told
        if number and once:
            return
        time.sleep(pause)


@click.command()
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder.")
@click.option("--once", is_flag=True, help="Before the server starts: wait for the first push, sync once, and end.")
@click.option(
    "--server",
    default="127.0.0.1:8501",
    show_default=True,
    metavar="HOST:PORT",
    help="The REST API of the server that reads the folder. It is asked which versions it has loaded.",
)
def sync(folder: Path, once: bool, server: str) -> None:
    """Keep a folder equal to the model store in the object store, until SIGTERM or SIGINT."""
    # At once, also while files are on their way: what is half-written is removed at the next start.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    check_address(server)
    chosen = settings()
    if chosen.models is None:
        raise InputError(
            "Only a model store in the object store can be followed. The profile is embedded.",
            "Set SEGUE_PROFILE=cluster and the stores: `segue settings`.",
        )
    follow(Mirror(Bucket.at(chosen.models, chosen), folder, None if once else server), once)


if __name__ == "__main__":
    enter(sync)
