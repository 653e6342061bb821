"""The check of MLflow's address sends the user's credentials, and tells apart what the server answers."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from segue.errors import EXIT_RETRY, EXIT_USAGE, SegueError
from stores.tracking import check

GUARDED = "/api/2.0/mlflow/experiments/search?max_results=1"
RIGHT = f"Basic {base64.b64encode(b'segue:right').decode()}"


@pytest.fixture
def server(monkeypatch):
    """A server on loopback as MLflow with log-in is; `answers` has others by path. Yields it with its `place`."""
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            allowed = self.path != GUARDED or self.headers.get("Authorization") == RIGHT
            status, body = answers.get(self.path, (200, b"3.4.0") if allowed else (401, b"You are not authenticated."))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.answers, running.place = answers, f"127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_credentials_come_from_the_variables_or_the_address(server, monkeypatch):
    """If this fails, `segue doctor` finds fault with a password that is right."""
    assert check(f"http://segue:right@{server.place}/") == "MLflow 3.4.0"
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "segue")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "right")
    assert check(f"http://{server.place}") == "MLflow 3.4.0"


@pytest.mark.parametrize("user", ["", "segue:wrong@"], ids=["none", "wrong"])
def test_a_wrong_password_is_found_though_the_version_needs_none(server, user):
    """If this fails, `segue doctor` passes a password that MLflow refuses in each run."""
    with pytest.raises(SegueError, match=r"refuses the user \(status 401\)") as raised:
        check(f"http://{user}{server.place}")
    assert raised.value.exit_code == EXIT_USAGE
    assert "wrong" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "exit_code", "words"),
    [
        ((404, b"no page"), EXIT_USAGE, "does not answer as MLflow does"),
        ((200, b"<html>a page</html>"), EXIT_USAGE, "does not answer as MLflow does"),
        ((503, b"starting"), EXIT_RETRY, "fails (status 503)"),
        ((429, b"slow down"), EXIT_RETRY, "fails (status 429)"),
    ],
)
def test_other_answers(server, answer, exit_code, words):
    """If this fails, another server passes for MLflow, or one that starts is not waited for."""
    server.answers["/version"] = answer
    with pytest.raises(SegueError) as raised:
        check(f"http://{server.place}")
    assert (raised.value.exit_code, words in raised.value.headline) == (exit_code, True), raised.value
