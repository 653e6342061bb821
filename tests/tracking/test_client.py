"""An MLflow that does not answer is named, with its address, within seconds."""

import errno
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow.tracking.request_header.registry  # noqa: F401  # else the first request imports Feast, for seconds
import pytest

from segue.errors import EXIT_RETRY, InputError, UnavailableError
from segue.settings import sqlite_uri
from tests.support.soon import soon
from tracking import client
from tracking.client import connect, require_answer

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def refusing() -> Iterator[int]:
    """The port of an address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        yield taken.getsockname()[1]


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


class Answer(BaseHTTPRequestHandler):
    """Answers every call with `status` and a JSON body that lists no experiment."""

    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST

    def log_message(self, *_) -> None:
        pass


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a server that answers every call with a status."""
    server = HTTPServer(("127.0.0.1", 0), type("Answers", (Answer,), {"status": status}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def short_limits(monkeypatch):
    """The limits of `tracking.client`, shortened to a second."""
    monkeypatch.setitem(client.LIMITS, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    for name in client.LIMITS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, client.LIMITS[name])


@pytest.mark.parametrize(
    ("server", "uri"),
    [
        pytest.param(refusing(), "http://127.0.0.1:{}", id="nobody listens"),
        pytest.param(refusing(), "https://127.0.0.1:{}/mlflow", id="nobody listens under a path"),
        pytest.param(refusing(), "postgresql://segue@127.0.0.1:{}/mlflow", id="no database"),
        pytest.param(refusing(), "mysql+pymysql://127.0.0.1:{}/mlflow", id="no database with a driver"),
        pytest.param(silent(), "http://127.0.0.1:{}", id="no answer", marks=pytest.mark.slow),
        pytest.param(answering(503), "http://127.0.0.1:{}", id="starting"),
    ],
)
def test_an_mlflow_that_does_not_answer_is_named_at_once(server, uri):
    with server as port:
        address = uri.format(port)
        with soon(), pytest.raises(UnavailableError) as error:
            require_answer(address)
    assert error.value.headline.startswith(f"MLflow at {address} does not answer: ")
    assert error.value.fix
    assert error.value.exit_code == EXIT_RETRY


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not answer as MLflow does"), (401, "refuses the user"), (403, "refuses the user")]
)
def test_an_answer_that_no_repetition_changes_is_a_fault_of_the_input(status, words):
    with answering(status) as port, pytest.raises(InputError, match=rf"{words} \(status {status}\)"):
        require_answer(f"http://127.0.0.1:{port}")


def test_an_unknown_host_may_be_known_later():
    with pytest.raises(UnavailableError, match=r"MLflow at http://no-such-host\.invalid does not answer"):
        require_answer("http://no-such-host.invalid")


def test_a_password_is_not_shown():
    with refusing() as port, pytest.raises(UnavailableError) as error:
        require_answer(f"postgresql://segue:secret@127.0.0.1:{port}/mlflow")
    assert "segue:***@" in error.value.headline
    assert "secret" not in str(error.value)


def test_an_mlflow_that_answers_is_used():
    with answering(200) as port:
        assert list(connect(f"http://127.0.0.1:{port}").search_experiments()) == []


@pytest.mark.parametrize("uri", ["sqlite:////absent/mlflow.db", "/absent/folder", "file:///absent", "databricks"])
def test_an_address_without_a_host_is_not_tried(uri):
    require_answer(uri)


def test_a_database_that_could_not_be_made_whole_is_not_there(tmp_path, monkeypatch):
    def half(uri: str):
        Path(uri.removeprefix("sqlite:///")).write_text("half a database")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(client, "unchecked_client", half)
    with pytest.raises(OSError, match="No space"):
        connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["home", "a b", "p%25 #1 é"])
def test_a_database_is_made_once_and_keeps_what_is_written_meanwhile(tmp_path, name):
    (tmp_path / name.replace("%25", "%")).mkdir()
    uri = f"sqlite:///{tmp_path / name / 'mlflow.db'}"
    connect(uri).create_experiment("a")
    assert {each.name for each in connect(uri).search_experiments()} >= {"a"}
    assert [path.name for path in tmp_path.glob("*/*")] == ["mlflow.db"]


@pytest.mark.slow
def test_the_making_of_a_database_that_is_killed_starts_over(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    make = [sys.executable, "-c", f"from tracking.client import connect; connect({uri!r})"]
    with subprocess.Popen(make, cwd=ROOT) as process:
        while not any(path.stat().st_size for path in tmp_path.glob(".tmp-mlflow.db-????????")):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)  # in the midst of the tables
        process.kill()
    assert not (tmp_path / "mlflow.db").exists()
    assert connect(uri).search_experiments()
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.slow
def test_a_database_is_made_under_any_path(tmp_path):
    """If this fails, a home named with % or # has no record of its runs."""
    folder = tmp_path / "50 %20 #1 ü?"
    folder.mkdir()
    connect(sqlite_uri(folder / "mlflow.db")).create_experiment("one")
    assert [file.name for file in folder.iterdir()] == ["mlflow.db"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name]


def test_two_processes_may_make_the_tables_at_once(monkeypatch):
    """If this fails, the second of two first runs on one database ends with an error."""
    monkeypatch.setattr(client, "MAKING_SECONDS", 0.0)
    calls = []

    def call() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("Key (typname, typnamespace)=(alembic_version, 2200) already exists.")

    client.try_twice(call)
    assert len(calls) == 2
    with pytest.raises(RuntimeError, match="refused"):
        client.try_twice(lambda: (_ for _ in ()).throw(RuntimeError("refused")))
