"""A client of MLflow that is quick to give up: a run's verdict does not wait for its record."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from segue import tls
from segue.errors import SegueError
from segue.files import atomic_path
from segue.settings import sqlite_uri
from stores import tracking as server
from stores.settings import settings, shown

if TYPE_CHECKING:
    from mlflow import MlflowClient

CONNECT_SECONDS = 5.0
MAKING_SECONDS = 5.0  # until the other process has made its tables
PORTS = {"http": 80, "https": 443, "mysql": 3306, "mssql": 1433}
# MLflow's own limits keep a call to a dead server for minutes. What is not sent now is sent later: `tracking.outbox`.
LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
LONGEST = 500  # characters of an error's text
DATABASE_TRIES = 3  # within half a second; MLflow's own 10 take 100 s, and no variable sets them


def require_answer(tracking_uri: str) -> None:
    """Try the address of MLflow once, if it is on another host or in another process.

    A database in a file needs no answer, and MLflow is not imported for it.

    Raises:
        InputError: the address cannot be one, is not MLflow's, or MLflow refuses the user or has no valid certificate.
        UnavailableError: MLflow does not answer there.
    """
    address = urlsplit(tracking_uri)
    try:
        if not address.hostname and address.scheme not in ("http", "https"):
            return
        if server.is_postgres(tracking_uri):
            server.check_database(tracking_uri)
        else:
            port = address.port or PORTS.get(address.scheme.partition("+")[0], 443)
            socket.create_connection((address.hostname, port), CONNECT_SECONDS).close()
        try_twice(lambda: unchecked_client(tracking_uri).search_experiments(max_results=1))
    except SegueError:
        raise
    except Exception as error:  # MLflow raises whatever its transport raises
        if address.scheme in ("http", "https") and tls.root(error) is error:  # an answer, which MLflow tells vaguely
            server.check(tracking_uri)
        raise server.unreachable(error, tracking_uri) from error


def text_of(error: Exception) -> str:
    """Return the text of an error on one line, without a password: MLflow's own errors name the whole address."""
    return shown(" ".join(str(error).split()))[:LONGEST]


def try_twice(call: Callable[[], object]) -> None:
    """Call MLflow, and once more if another process makes its tables at the same time, which MLflow cannot bear."""
    try:
        call()
    except Exception as error:  # MLflow raises whatever its transport raises
        if "already exists" not in str(error):
            raise
        time.sleep(MAKING_SECONDS)
        call()


def connect(tracking_uri: str) -> "MlflowClient":
    """Return a client of the MLflow at an address.

    Raises: as `require_answer`.
    """
    require_answer(tracking_uri)
    make_database(tracking_uri)
    return unchecked_client(tracking_uri)


def make_database(tracking_uri: str) -> None:
    """Make the database if it is an absent SQLite file: beside its place, which it takes once it is whole.

    MLflow takes seconds to make its tables, and fails for good on a file that has only some of them.
    """
    from sqlalchemy.engine import make_url

    if not tracking_uri.startswith("sqlite:///"):
        return
    file = make_url(tracking_uri).database
    if not file or file == ":memory:" or Path(file).exists():
        return
    with atomic_path(Path(file)) as temporary:
        unchecked_client(sqlite_uri(temporary)).search_experiments(max_results=1)


def unchecked_client(tracking_uri: str) -> "MlflowClient":
    """Return a client with short limits, unless the environment has others."""
    for name, limit in LIMITS.items():
        os.environ.setdefault(name, limit)
    if endpoint := settings().objects_endpoint:
        os.environ.setdefault("MLFLOW_S3_ENDPOINT_URL", endpoint)  # for files that the client itself sends to S3
    import mlflow
    import mlflow.store.db.utils

    mlflow.store.db.utils.MAX_RETRY_COUNT = DATABASE_TRIES
    # SQLAlchemy's default driver of PostgreSQL is not installed.
    return mlflow.MlflowClient(tracking_uri.replace("postgresql://", "postgresql+psycopg://", 1))
