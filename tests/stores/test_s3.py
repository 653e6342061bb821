"""A bucket on a real S3 server: what is put comes back, and every fault soon becomes one clear error."""

import contextlib
import hashlib
import os
import signal
import socket
import ssl
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from segue.errors import InputError, UnavailableError
from stores import s3_errors, servers
from stores.parallel import in_parallel
from stores.s3 import Bucket, Missing, Taken
from stores.settings import Settings
from tests.support.certificates import certificate
from tests.support.soon import soon


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def test_the_place_and_server_come_from_settings():
    settings = Settings(objects_endpoint="https://objects:8333", objects_region="eu-west-1")
    bucket = Bucket.at("s3://company/segue/models", settings)
    assert bucket == Bucket("company", "segue/models", "https://objects:8333", "eu-west-1")
    assert bucket.url == "s3://company/segue/models"
    assert Bucket("company").url == "s3://company"


@pytest.mark.slow
def test_what_is_put_comes_back(bucket, tmp_path):
    bucket.put("a", b"one")
    bucket.put("a", b"two")
    assert bucket.get("a") == b"two"
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3_000_000))
    digest = sha256(path.read_bytes())
    bucket.put_file("b/c", path, digest)
    assert bucket.get_file("b/c", tmp_path / "copy") == digest
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    bucket.put("empty", b"")
    assert bucket.get_file("empty", tmp_path / "empty") == sha256(b"")
    assert [(stored.key, stored.size) for stored in bucket.list("")] == [("a", 3), ("b/c", 3_000_000), ("empty", 0)]
    assert abs(next(bucket.list("a")).modified - datetime.now(UTC)) < timedelta(minutes=1)
    bucket.delete(["a", "b/c", "not there"])
    assert [stored.key for stored in bucket.list("")] == ["empty"]
    with pytest.raises(Missing, match=rf"no object {bucket.url}/a"):
        bucket.get("a")


@pytest.mark.slow
def test_another_prefix_is_another_place(bucket):
    bucket.put("x", b"")
    beside = replace(bucket, prefix=bucket.prefix + "2")
    assert list(beside.list("")) == []


@pytest.mark.slow
def test_one_of_many_conditional_puts_succeeds(bucket):
    def put(number: int) -> int | None:
        try:
            bucket.put("only", str(number).encode(), if_absent=True)
        except Taken:
            return None
        return number

    winners = [number for number in in_parallel(put, range(16)) if number is not None]
    assert [str(number).encode() for number in winners] == [bucket.get("only")]


@pytest.mark.slow
def test_listings_and_deletions_go_beyond_a_page(bucket):
    keys = [f"k{number:04}" for number in range(1100)]  # a page and a request of deletion have 1,000
    in_parallel(lambda key: bucket.put(key, b""), keys)
    assert [stored.key for stored in bucket.list("k")] == keys
    bucket.delete(keys)
    assert list(bucket.list("")) == []


@pytest.mark.slow
def test_a_folder_goes_there_and_back(bucket, tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    (source / "steps").mkdir(parents=True)
    (source / "request.json").write_text("{}")
    (source / "steps" / "é ü.json").write_text("1")
    (source / ".lock").write_text("local")
    bucket.upload_tree(source, "runs/r1")
    bucket.put("runs/r10", b"of another run")
    copy.mkdir()
    (copy / "kept").write_text("local")
    bucket.download_tree("runs/r1", copy)
    assert {path.relative_to(copy).as_posix(): path.read_text() for path in copy.rglob("*") if path.is_file()} == {
        "kept": "local", "request.json": "{}", "steps/é ü.json": "1",
    }  # fmt: skip


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_sent_is_refused(bucket, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"new")
    with pytest.raises(InputError, match="other bytes"):
        bucket.put_file("a", path, sha256(b"old"))
    assert list(bucket.list("")) == []


def test_sizes_beyond_the_limits_of_s3_are_refused_at_once(tmp_path):
    bucket = Bucket("segue", endpoint="http://127.0.0.1:9")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(5 * 2**30 + 1)
    with pytest.raises(InputError, match="at most 5,368,709,120 bytes"):
        bucket.put_file("a", large, sha256(b""))
    with pytest.raises(InputError, match="at most 1024 bytes"):
        bucket.put("é" * 513, b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "call", "message"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "get", "refuses the credentials .*SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "wrong"}, "get", "refuses the credentials .*InvalidAccessKeyId"),
        ({"AWS_ACCESS_KEY_ID": servers.READER}, "put", "no right to do this"),
        ({"AWS_ACCESS_KEY_ID": servers.READER}, "delete", "no right to do this"),
    ],
)
def test_credentials_and_rights(bucket, monkeypatch, change, call, message):
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    calls = {
        "get": partial(bucket.get, "a"),
        "put": partial(bucket.put, "a", b""),
        "delete": lambda: bucket.delete(["a"]),
    }
    with pytest.raises(InputError, match=message) as raised:
        calls[call]()
    assert bucket.endpoint in str(raised.value)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(raised.value)


@pytest.mark.slow
def test_a_reader_may_read(bucket, monkeypatch):
    bucket.put("a", b"1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", servers.READER)
    reader = replace(bucket)
    assert reader.get("a") == b"1"
    assert len(list(reader.list(""))) == 1


def test_no_credentials(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"There are none.*AWS_ACCESS_KEY_ID"):
        Bucket("segue", endpoint="http://127.0.0.1:9").get("a")


@pytest.mark.slow
@pytest.mark.parametrize("call", [lambda b: b.get("a"), lambda b: b.put("a", b""), lambda b: list(b.list(""))])
def test_a_missing_bucket(bucket, call):
    with pytest.raises(InputError, match=r"has no bucket of s3://other\. Create the bucket") as raised:
        call(Bucket("other", endpoint=bucket.endpoint))
    assert not isinstance(raised.value, Missing)


@pytest.mark.slow
def test_a_refused_connection(s3_credentials):
    port = servers.free_ports(1)[0]
    with soon(), pytest.raises(UnavailableError, match=f":{port} does not answer .*Connection refused"):
        Bucket("segue", endpoint=f"http://127.0.0.1:{port}").get("a")


def test_a_host_that_does_not_exist(s3_credentials):
    with (
        soon(),
        pytest.raises(UnavailableError, match=r"objects.invalid:8333 does not answer .*known"),
    ):
        Bucket("segue", endpoint="http://objects.invalid:8333").get("a")


def test_a_name_server_that_does_not_answer(s3_credentials, monkeypatch):
    ends = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: ends.wait(60))
    monkeypatch.setattr(s3_errors, "LOOKUP_SECONDS", 0.1)
    with pytest.raises(UnavailableError, match=r"no address of the object store objects\.example within 0\.1 s"):
        Bucket("segue", endpoint="http://objects.example:8333").get("a")
    ends.set()


@pytest.mark.slow
def test_a_host_that_drops_every_packet(s3_credentials):
    # A listener whose queue is full answers no further connection, as a host that is gone.
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        with soon(), pytest.raises(UnavailableError, match=r"does not answer .*: "):
            Bucket("segue", endpoint=f"http://127.0.0.1:{listener.getsockname()[1]}").get("a")


@pytest.mark.slow
@pytest.mark.parametrize("call", ["get", "put", "put_file", "list"])
def test_a_server_that_stops_answering(objects, bucket, tmp_path, call):
    bucket.put("a", b"")
    large = tmp_path / "large"
    large.write_bytes(bytes(20_000_000))
    calls = {
        "get": lambda: bucket.get("a"),
        "put": lambda: bucket.put("a", b""),
        "put_file": lambda: bucket.put_file("a", large, sha256(bytes(20_000_000))),
        "list": lambda: list(bucket.list("")),
    }
    os.kill(objects.pid, signal.SIGSTOP)
    try:
        with soon(), pytest.raises(UnavailableError, match=f"{bucket.endpoint} does not answer"):
            calls[call]()
    finally:
        os.kill(objects.pid, signal.SIGCONT)
    calls[call]()


@pytest.mark.slow
def test_a_server_that_is_killed_is_back_with_its_objects(objects, bucket):
    bucket.put("a", b"1")
    objects.kill()
    try:
        with soon(), pytest.raises(UnavailableError, match="does not answer"):
            bucket.get("a")
    finally:
        objects.start()
    assert bucket.get("a") == b"1"


@pytest.mark.slow
def test_clocks_that_differ(bucket, monkeypatch):
    import botocore.auth

    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *args, **kw: now(*args, **kw) - timedelta(hours=1)
    )
    with pytest.raises(UnavailableError, match=r"clocks of this machine and of the server differ.*NTP"):
        bucket.get("a")


@contextlib.contextmanager
def http_server(answer: tuple[int, bytes], context: ssl.SSLContext | None = None, missing: int = 0):
    """A server on loopback that answers everything alike, or with some bytes missing; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1]) + missing))
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *args):
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("days", "trusted", "message"),
    [((-1, 1), False, "self-signed certificate"), ((-2, -1), True, "certificate has expired")],
)
def test_a_certificate_that_is_not_valid(s3_credentials, tmp_path, monkeypatch, days, trusted, message):
    pem, context = certificate(tmp_path, days)
    if trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))
    with (
        http_server((200, b""), context) as port,
        soon(),
        pytest.raises(InputError, match=f"https://127.0.0.1:{port} has a certificate.*: {message}"),
    ):
        Bucket("segue", endpoint=f"https://127.0.0.1:{port}").get("a")


@pytest.mark.slow
def test_https_to_a_plain_port(s3_credentials):
    with (
        http_server((200, b"")) as port,
        soon(),
        pytest.raises(InputError, match=r"speaks no TLS, and the address begins with https://.*Begin it with http://"),
    ):
        Bucket("segue", endpoint=f"https://127.0.0.1:{port}").get("a")


def test_http_to_a_tls_port(s3_credentials):
    # So Go's servers answer, and SeaweedFS is one.
    said = b"Client sent an HTTP request to an HTTPS server.\n"
    with (
        http_server((400, said)) as port,
        soon(),
        pytest.raises(InputError, match=r"does not answer as S3 does: 400.*write https:// there"),
    ):
        Bucket("segue", endpoint=f"http://127.0.0.1:{port}").get("a")


@pytest.mark.slow
def test_http_to_a_tls_port_that_closes_the_connection(s3_credentials, tmp_path):
    _, context = certificate(tmp_path, (-1, 1))
    with (
        http_server((200, b""), context) as port,
        soon(),
        pytest.raises(InputError, match=r"speaks TLS, and the address begins with http://.*Begin it with https://"),
    ):
        Bucket("segue", endpoint=f"http://127.0.0.1:{port}").get("a")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((503, b"<html>upstream is away</html>"), "failed at s3://segue: 503"),
        ((500, b"<Error><Code>InternalError</Code><Message>disk full</Message></Error>"), "InternalError disk full"),
    ],
)
def test_a_server_that_fails(s3_credentials, answer, message):
    with http_server(answer) as port, soon(), pytest.raises(UnavailableError, match=message):
        list(Bucket("segue", endpoint=f"http://127.0.0.1:{port}").list(""))


@pytest.mark.slow
@pytest.mark.parametrize("answer", [(200, b"<html>a page</html>"), (404, b"no page")])
def test_a_server_of_another_kind(s3_credentials, answer):
    with (
        http_server(answer) as port,
        soon(),
        pytest.raises(InputError, match="does not answer as S3 does"),
    ):
        list(Bucket("segue", endpoint=f"http://127.0.0.1:{port}").list(""))


@pytest.mark.parametrize("call", [lambda b, path: b.get("a"), lambda b, path: b.get_file("a", path)])
def test_an_answer_that_breaks_off(s3_credentials, tmp_path, call):
    with (
        http_server((200, b"short"), missing=5) as port,
        soon(),
        pytest.raises(UnavailableError, match="does not answer"),
    ):
        call(Bucket("segue", endpoint=f"http://127.0.0.1:{port}"), tmp_path / "file")


@pytest.mark.slow
def test_boto3_is_imported_at_the_first_call():
    import subprocess
    import sys

    code = "import sys, stores.s3, stores.trees; print('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
