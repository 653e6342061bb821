"""The connection of a client: pauses between attempts, statuses as errors, options and TLS files."""

import asyncio
import datetime
import ipaddress
from concurrent import futures

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from segue.errors import InputError, SegueError, UnavailableError
from serving.client.async_client import AsyncClient
from serving.client.connection import LONGEST_WAIT_SECONDS, OPTIONS, TLS, Attempts, as_error, check_address
from serving.client.sync_client import Client


class Failed(grpc.RpcError):
    def __init__(self, code):
        self._code = code

    def code(self):
        return self._code

    def details(self):
        return "as scripted"


@pytest.fixture
def clock():
    """A clock that stands still at `clock.now`."""

    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def test_pauses_double_up_to_a_maximum(clock):
    attempts = Attempts("here:1", 1000.0, clock, jitter=lambda: 1.0)

    pauses = [attempts.pause_after(Failed(grpc.StatusCode.UNAVAILABLE)) for _ in range(8)]

    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, LONGEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS]


def test_a_pause_is_at_least_half_of_its_length(clock):
    attempts = Attempts("here:1", 10.0, clock, jitter=lambda: 0.0)

    assert attempts.pause_after(Failed(grpc.StatusCode.UNAVAILABLE)) == 0.025


def test_no_attempt_follows_whose_pause_would_end_after_the_deadline(clock):
    attempts = Attempts("here:1", 10.0, clock, jitter=lambda: 1.0)
    clock.now += 9.96
    assert attempts.left() == pytest.approx(0.04)

    with pytest.raises(UnavailableError, match=r"here:1 gave no answer in 10 s \(UNAVAILABLE\): as scripted"):
        attempts.pause_after(Failed(grpc.StatusCode.UNAVAILABLE))


def test_the_time_left_has_a_minimum(clock):
    attempts = Attempts("here:1", 1.0, clock)
    clock.now += 5

    assert attempts.left() == 0.001
    assert attempts.left(0.1) == 0.1


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.UNAVAILABLE])
def test_only_unavailable_is_repeated(clock, code):
    with pytest.raises(SegueError, match="as scripted"):
        Attempts("here:1", 10.0, clock).pause_after(Failed(code))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InputError),
        (grpc.StatusCode.NOT_FOUND, InputError),
        (grpc.StatusCode.FAILED_PRECONDITION, InputError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, UnavailableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, UnavailableError),
        (grpc.StatusCode.INTERNAL, SegueError),
        (grpc.StatusCode.UNIMPLEMENTED, SegueError),
    ],
)
def test_each_status_becomes_its_error(code, error):
    assert type(as_error("here:1", 1.0, code, "text")) is error


def test_pings_are_rarer_than_tf_serving_allows():
    # TF Serving closes a connection that pings more often than every 5 minutes, or without a call.
    options = dict(OPTIONS)

    assert options["grpc.keepalive_time_ms"] > 5 * 60 * 1000
    assert options["grpc.keepalive_permit_without_calls"] == 0


def test_a_key_without_its_certificate_is_rejected(tmp_path):
    with pytest.raises(InputError, match="Received only one of them"):
        TLS(tmp_path / "ca.pem", key=tmp_path / "key.pem")


def test_a_missing_tls_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"must be readable.*ca\.pem"):
        TLS(tmp_path / "ca.pem").credentials()


def certificate(folder, name, issuer=None):
    """Write a key and a certificate for 127.0.0.1 as PEM files, signed by `issuer`; without an issuer, by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    authority, authority_key = issuer or (subject, key)
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password))
    (folder / f"{name}.crt").write_bytes(built.public_bytes(pem))
    return subject, key


@pytest.fixture(scope="module")
def pems(tmp_path_factory):
    """PEM files: the authority `ca`, `server` and `client` signed by it, and `other`, an unrelated authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = certificate(folder, "ca")
    certificate(folder, "server", authority)
    certificate(folder, "client", authority)
    certificate(folder, "other")
    return folder


class Anything(grpc.GenericRpcHandler):
    """Answers every call with an empty message."""

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


@pytest.fixture
def secure(pems):
    """Start a server with the certificate `server`; with `ask` it accepts only clients with a certificate of `ca`."""
    started = []

    def start(ask):
        pair = ((pems / "server.key").read_bytes(), (pems / "server.crt").read_bytes())
        server = grpc.server(futures.ThreadPoolExecutor(1), [Anything()])
        started.append(server)
        credentials = grpc.ssl_server_credentials([pair], (pems / "ca.crt").read_bytes() if ask else None, ask)
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        return f"127.0.0.1:{port}"

    yield start
    for server in started:
        server.stop(None).wait()


def blocking(address, tls, timeout):
    with Client(address, tls) as client:
        return client.predict("m", {}, timeout=timeout)


def awaited(address, tls, timeout):
    async def run():
        async with AsyncClient(address, tls) as client:
            return await client.predict("m", {}, timeout=timeout)

    return asyncio.run(run())


@pytest.mark.parametrize("predict", [blocking, awaited])
class TestTLS:
    """Either client over an encrypted connection."""

    def test_a_server_signed_by_the_authority_is_trusted(self, secure, pems, predict):
        assert predict(secure(ask=False), TLS(pems / "ca.crt"), 10) == {}

    def test_another_authority_is_not_trusted(self, secure, pems, predict):
        with pytest.raises(UnavailableError, match="UNAVAILABLE"):
            predict(secure(ask=False), TLS(pems / "other.crt"), 3)

    def test_a_client_without_tls_is_not_accepted(self, secure, pems, predict):
        with pytest.raises(UnavailableError):
            predict(secure(ask=False), None, 0.3)

    def test_mutual_tls(self, secure, pems, predict):
        address = secure(ask=True)

        assert predict(address, TLS(pems / "ca.crt", pems / "client.key", pems / "client.crt"), 10) == {}
        with pytest.raises(UnavailableError):
            predict(address, TLS(pems / "ca.crt"), 0.3)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:8500", "localhost:1", "[::1]:65535", "model-server.prod_1.svc:8500", "unix:/tmp/a b", "unix:x"],
)
def test_addresses(address):
    check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://h:1",
        "grpc://h:1",
        "h",
        "h:",
        "h:0",
        "h:65536",
        "h:1/",
        "::1:8500",
        "[::1]",
        "unix:",
        "h:1\n",
        "h :1",
    ],
)
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(InputError, match="HOST:PORT or unix:PATH"):
        Client(address)
