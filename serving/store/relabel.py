"""Move labels in a running server, by the call that gives it its configuration anew.

A label can be given only to a version that is loaded. So the server first gets a configuration in which the versions of
before and after are loaded and the labels are where they were; once all are available, the one with the labels moved.
"""

import contextlib
import time
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from segue.errors import InputError, SegueError
from serving.client import calls
from serving.client.connection import Attempts
from serving.client.sync_client import Client

LOAD_SECONDS = 120.0
ANSWER_SECONDS = 10.0


def move_labels(address: str, before: str, after: str, load_seconds: float = LOAD_SECONDS) -> None:
    """Take a server from one configuration to another; at no moment does a label of both name no version.

    Args:
        address: the server's gRPC, `host:port`.
        before, after: `ModelServerConfig` text protos, as the model store writes them; `before` may be empty.
        load_seconds: how long the server may take to load what `after` labels.

    Raises:
        InputError: the server refuses a configuration; with its text.
        UnavailableError: it does not answer, or a version is not available in time; with its state.
        SegueError: any other failure. After each of them the server is told to go back to `before`.
    """
    then, now = (text_format.Parse(text, model_server_config_pb2.ModelServerConfig()) for text in (before, after))
    wanted = sorted({(e.name, version) for e in now.model_config_list.config for version in e.version_labels.values()})
    with Client(address) as client:
        for model, version in wanted:
            _hindrance(client, model, version)  # a server that is not there is known soon, not after `load_seconds`
        try:
            _load(client, _both(then, now), wanted, load_seconds)
            client.reload_config(now)
        except SegueError:
            with contextlib.suppress(SegueError):  # the first failure is the one to tell
                client.reload_config(then, timeout=ANSWER_SECONDS)
            raise


def _both(then: Any, now: Any) -> Any:
    """A configuration with the versions of two and the labels of the first."""
    both = type(now)()
    both.CopyFrom(now)
    known = {entry.name: entry for entry in then.model_config_list.config}
    for entry in both.model_config_list.config:
        entry.version_labels.clear()
        if entry.name in known:
            old = known[entry.name]
            entry.version_labels.update(old.version_labels)
            versions = entry.model_version_policy.specific.versions
            wanted = {*versions, *old.model_version_policy.specific.versions, *old.version_labels.values()}
            versions[:] = sorted(wanted)
    return both


def _load(client: Client, both: Any, wanted: list[tuple[str, int]], seconds: float) -> None:
    """Return once all `wanted` versions, (model, version), are available."""
    attempts = Attempts(client.address, seconds)
    while True:
        # Each time anew: a server that polls the file of before may have gone back to it.
        client.reload_config(both, timeout=attempts.left())
        waiting = [(model, text) for model, version in wanted if (text := _hindrance(client, model, version))]
        if not waiting:
            return
        time.sleep(attempts.poll(*waiting[0]))


def _hindrance(client: Client, model: str, version: int) -> str:
    """What keeps a version from answering; empty if nothing does."""
    try:
        return calls.hindrance(client.status(model, version=version, timeout=ANSWER_SECONDS))
    except InputError as error:  # not known to the server yet
        return error.headline
