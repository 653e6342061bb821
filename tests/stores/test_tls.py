"""A certificate or a scheme that is wrong is a fault of the settings (exit code 2), for every store alike.

The object store's are in `test_s3.py`, Kubeflow's in `tests/pipelines/kubeflow/test_errors.py`.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from segue.errors import EXIT_USAGE, SegueError
from stores import online_store, registry, servers, tracking
from stores.settings import Settings
from tests.support.certificates import certificate
from tests.support.soon import soon
from tests.support.tls_servers import secured
from tracking.client import require_answer

EXPIRED, UNKNOWN = ((-2, -1), True, "certificate has expired"), ((-1, 1), False, "self-signed certificate")
CHECKS = {
    "redis": lambda address: online_store.check(Settings(online_store=address)),
    "postgresql": lambda address: registry.check(Settings(registry=address)),
    "mlflow": tracking.check,
    "mlflow's client": require_answer,
    "mlflow's database": require_answer,
}
ADDRESSES = {
    "redis": "rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority}",
    "postgresql": "postgresql://segue@127.0.0.1:{port}/feast?sslmode=verify-full&sslrootcert={authority}",
    "mlflow": "https://127.0.0.1:{port}",
    "mlflow's client": "https://127.0.0.1:{port}",
    "mlflow's database": "postgresql://segue@127.0.0.1:{port}/mlflow?sslmode=verify-full&sslrootcert={authority}",
}


def failure(store: str, address: str) -> SegueError:
    """The error of the check of a store."""
    with pytest.raises(SegueError) as raised:
        CHECKS[store](address)
    assert raised.value.fix
    return raised.value


@pytest.mark.parametrize(("days", "trusted", "cause"), [EXPIRED, UNKNOWN], ids=["expired", "unknown"])
@pytest.mark.parametrize("store", CHECKS)
def test_a_certificate_that_is_not_valid(tmp_path, monkeypatch, store, days, trusted, cause):
    """If this fails, a step is repeated for a certificate that a person must renew, or the cause is not told."""
    (tmp_path / "other").mkdir()
    pem, context = certificate(tmp_path, days)
    authority = pem if trusted else certificate(tmp_path / "other", (-1, 1))[0]
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority))
    with secured(context, b"S" if "postgresql" in ADDRESSES[store] else b"") as port:
        error = failure(store, ADDRESSES[store].format(port=port, authority=authority))
    assert error.exit_code == EXIT_USAGE, error
    assert "certificate" in error.headline
    assert cause in error.headline or "certificate verify failed" in error.headline, error
    assert "certificate" in error.fix


@pytest.mark.parametrize("store", ["redis", "mlflow", "mlflow's client"])
def test_a_scheme_without_tls_for_a_server_with_it(tmp_path, store):
    """If this fails, a missing letter in an address is retried for ever."""
    plain = ADDRESSES[store].partition("?")[0].replace("s://", "://", 1)
    with secured(certificate(tmp_path, (-1, 1))[1]) as port:
        error = failure(store, plain.format(port=port))
    assert "speaks TLS, and the address begins with" in error.headline
    assert error.exit_code == EXIT_USAGE


def test_https_to_an_mlflow_without_tls():
    """If this fails, a letter too many in an address is retried for ever."""
    with ThreadingHTTPServer((servers.HOST, 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        error = failure("mlflow", f"https://{servers.HOST}:{server.server_port}")
        server.shutdown()
    assert error.exit_code == EXIT_USAGE, error
    assert "speaks no TLS" in error.headline


@pytest.mark.slow
@pytest.mark.parametrize(("store", "words"), [("redis", "speaks no TLS"), ("postgresql", "does not support SSL")])
def test_a_server_without_the_tls_that_its_address_asks_for(store, words, request, tmp_path):
    """If this fails, a letter too many in an address is retried for ever."""
    port = request.getfixturevalue({"redis": "valkey", "postgresql": "postgres"}[store]).port
    with soon():
        error = failure(store, ADDRESSES[store].format(port=port, authority=certificate(tmp_path, (-1, 1))[0]))
    assert error.exit_code == EXIT_USAGE, error
    assert words in error.headline
