"""Move labels in a running server by HandleReloadConfigRequest.

A label can move only to a loaded version. So the server first gets a configuration with the old and the new versions
and the old labels. When the new versions are available, it gets the new configuration.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from segue.errors import InputError, SegueError
from serving.client import calls
from serving.client.connection import Attempts
from serving.client.sync_client import Client
from serving.store.label_moves import between, labelled

LOAD_SECONDS = 120.0
ANSWER_SECONDS = 10.0


def move_labels(
    address: str, before: str, after: str, current: Callable[[], str], load_seconds: float = LOAD_SECONDS
) -> None:
    """Move the labels of a server from one configuration to another, so that each label names a version at any moment.

    After a failure, or if another command has moved the labels meanwhile, the server gets the configuration of the
    moment.

    Args:
        address: the gRPC address of the server, `host:port`.
        before, after: `ModelServerConfig` text protos, as the model store writes them; `before` may be empty.
        current: returns the text of the moment; another command moves the labels once it is neither of the two.
        load_seconds: how long the server may take to load the versions that `after` labels.

    Raises:
        InputError: the server refuses a configuration; the text has its reason.
        UnavailableError: the server does not answer, or a version is not available in time; the text has its state.
        SegueError: any other failure.
    """
    old, new = _parsed(before), _parsed(after)
    versions = labelled(new)

    def superseded() -> bool:
        return current() not in (before, after)

    with Client(address) as client:
        for model, version in versions:
            _hindrance(client, model, version)  # fails after `ANSWER_SECONDS` if there is no server, not `load_seconds`
        try:
            if _load(client, between(old, new), versions, load_seconds, superseded):
                client.reload_config(new)
        except SegueError:
            with contextlib.suppress(SegueError):  # the first error is raised, whether or not the way back succeeds
                client.reload_config(_parsed(current()), timeout=ANSWER_SECONDS)
            raise
        if superseded():
            client.reload_config(_parsed(current()), timeout=ANSWER_SECONDS)


def _parsed(text: str) -> Any:
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def _load(
    client: Client, config: Any, versions: list[tuple[str, int]], seconds: float, superseded: Callable[[], bool]
) -> bool:
    """Give the server a configuration, and return whether all `versions`, (model, version), became available.

    It returns False as soon as another command has moved the labels.
    """
    attempts = Attempts(client.address, seconds)
    while not superseded():
        # The configuration is sent each time, because a server that polls its file may have read the old one again.
        client.reload_config(config, timeout=attempts.left())
        waiting = [(model, text) for model, version in versions if (text := _hindrance(client, model, version))]
        if not waiting:
            return True
        time.sleep(attempts.poll(*waiting[0]))
    return False


def _hindrance(client: Client, model: str, version: int) -> str:
    """Why a version does not answer yet; empty if it does."""
    try:
        return calls.hindrance(client.status(model, version=version, timeout=ANSWER_SECONDS))
    except InputError as error:  # NOT_FOUND: the server has not found the version yet
        return error.headline
