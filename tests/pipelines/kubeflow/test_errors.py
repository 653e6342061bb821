"""What goes wrong on the way to Kubeflow's API is told apart, soon, and without the token."""

import socket

import pytest

from pipelines.kubeflow.api import Kubeflow
from segue.errors import EXIT_RETRY, EXIT_USAGE, SegueError
from stores.settings import Settings
from tests.support.certificates import certificate
from tests.support.fake_kubeflow import FakeKubeflow
from tests.support.soon import soon

TOKEN = "s3cret-token"


@pytest.fixture
def fake():
    """A server that knows one token."""
    with FakeKubeflow(token=TOKEN) as server:
        yield server


def failure(address: str, token: str | None = TOKEN, subject: str = "") -> SegueError:
    """The error of the first call at an address; it comes soon and never shows the token."""
    kubeflow = Kubeflow(address, token)
    method, arguments = kubeflow.health.healthz_service_get_healthz, []
    if subject:
        method, arguments = kubeflow.runs.run_service_get_run, ["1b2c"]
    with soon(), pytest.raises(SegueError) as caught:
        kubeflow.call(method, *arguments, subject=subject)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.fix
    return caught.value


def answers(status: int, body: object):
    """A fault: the server answers any request in this way."""
    return lambda handler: handler.send(status, body)


@pytest.mark.parametrize(
    ("status", "exit_code", "words"),
    [
        (302, EXIT_USAGE, "sends to a login page"),
        (400, EXIT_USAGE, "refuses the call (status 400). It says: odd ***"),
        (401, EXIT_USAGE, "refuses the token (status 401)"),
        (403, EXIT_USAGE, "allows this user no such call (status 403)"),
        (404, EXIT_USAGE, "has no API v2beta1 (status 404)"),
        (409, EXIT_USAGE, "refuses the call (status 409)"),
        (429, EXIT_RETRY, "fails (status 429)"),
        (500, EXIT_RETRY, "fails (status 500). It says: odd ***"),
        (503, EXIT_RETRY, "fails (status 503)"),
    ],
)
def test_answers_that_are_errors(fake, status, exit_code, words):
    fake.faults.append(answers(status, {"message": f"odd\n {TOKEN}", "code": 13}))
    error = failure(fake.url)
    assert words in error.headline
    assert fake.url in error.headline
    assert error.exit_code == exit_code


def test_a_missing_token_is_named(fake):
    error = failure(fake.url, token=None)
    assert "asks for a token, and none is set (status 401)" in error.headline
    assert "SEGUE_KUBEFLOW_TOKEN" in error.fix


def test_what_a_call_is_about_is_named_if_it_is_not_there(fake):
    assert failure(fake.url, subject="the run 1b2c").headline.endswith("does not have the run 1b2c (status 404).")


@pytest.mark.parametrize("body", [b"<html>a page</html>", b"[1]", b"null", b'"text"', b"{"])
def test_another_server_is_told_from_kubeflow(fake, body):
    def page(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    fake.faults.append(page)
    error = failure(fake.url)
    assert "does not answer as the API v2beta1 does" in error.headline
    assert error.exit_code == EXIT_USAGE


def test_a_refused_connection():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        error = failure(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert "cannot be connected: Connection refused" in error.headline
    assert "port-forward" in error.fix
    assert error.exit_code == EXIT_RETRY


def test_an_unknown_host():
    error = failure("http://no-such-host.invalid:8080")
    assert "No address is known for the host no-such-host.invalid" in error.headline
    assert error.exit_code == EXIT_RETRY


def test_a_broken_connection(fake):
    fake.faults.append(lambda handler: handler.connection.shutdown(socket.SHUT_RDWR))
    error = failure(fake.url)
    assert "The connection to" in error.headline
    assert error.exit_code == EXIT_RETRY


@pytest.mark.slow
def test_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "did not answer in time" in error.headline
    assert error.exit_code == EXIT_RETRY


def test_http_to_a_server_with_tls(tmp_path):
    with FakeKubeflow() as fake:
        fake.with_tls(certificate(tmp_path, (-1, 1))[1])
        error = failure(fake.url.replace("https", "http"))
    assert "speaks TLS, and the address begins with http://" in error.headline
    assert error.fix == "Begin it with https://."
    assert error.exit_code == EXIT_USAGE


def test_https_to_a_server_without_tls(fake):
    error = failure(fake.url.replace("http", "https"))
    assert "speaks no TLS, and the address begins with https://" in error.headline
    assert error.fix == "Begin it with http://."
    assert error.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("days", "trusted", "cause"),
    [((-1, 1), False, "self-signed certificate"), ((-2, -1), True, "certificate has expired")],
)
def test_a_certificate_that_is_not_valid(tmp_path, monkeypatch, days, trusted, cause):
    pem, context = certificate(tmp_path, days)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with FakeKubeflow() as fake:
        fake.with_tls(context)
        error = failure(fake.url)
    assert error.headline == f"Kubeflow Pipelines at {fake.url} has a certificate that is not valid: {cause}."
    assert error.exit_code == EXIT_USAGE


def test_a_certificate_of_a_known_authority(tmp_path, monkeypatch):
    pem, context = certificate(tmp_path, (-1, 1))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with FakeKubeflow() as fake:
        fake.with_tls(context)
        kubeflow = Kubeflow(fake.url)
        assert kubeflow.call(kubeflow.health.healthz_service_get_healthz).multi_user is False


def test_without_an_address_there_is_no_connection():
    with pytest.raises(SegueError, match="needs the address of Kubeflow Pipelines"):
        Kubeflow.of(Settings())
