"""Hostile REST requests: each gets a proper HTTP answer, and the server neither fails nor grows.

The server is a process of its own, so that its memory can be measured apart from the tests'.
"""

import base64
import contextlib
import gzip
import http.client
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from benchmarks.serving.process import ending, free_port, rss_mb, start_server, wait_ready
from segue.errors import InputError
from serving.client.sync_client import Client
from serving.protocol.config_files import ModelConfig
from serving.protocol.tensors import MAX_MESSAGE_BYTES
from serving.run_server import ModelServer
from serving.server_config import ServerConfig

SECONDS = 30
TIMEOUT = 1.0  # of the server, in seconds
GROWTH_MB = 5  # allowed in one round
KEPT_MB = 400  # allowed above the start: the allocator keeps pages of the largest requests for each thread
MAX_ANSWER = 64 * 1024  # bytes; an error may quote a path, which may be as long as a head
SCALE, METRICS = "/v1/models/scale", "/monitoring/prometheus/metrics"
PREDICT = f"{SCALE}:predict"
GOOD = b'{"instances": [[1, 2]]}'
SAMPLE = re.compile(r':[a-z_:]+(\{[a-zA-Z_]+="([^"\\]|\\.)*"(,[a-zA-Z_]+="([^"\\]|\\.)*")*\})? [0-9.e+-]+')


class Server:
    """A `segue serve` process of `scale` and `half`, with metrics."""

    def __init__(self, process, address, rest_address, log):
        self.pid, self.address, self.log = process.pid, address, log
        host, _, port = rest_address.partition(":")
        self.rest = host, int(port)
        self._process = process
        self._seen = 0  # characters of the log read so far
        self.rss = 0.0  # MiB, at the start

    def send(self, method, path, body=None, headers=()):
        """The status and body of the answer to a well-formed request."""
        connection = http.client.HTTPConnection(*self.rest, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def post(self, body, headers=()):
        return self.send("POST", PREDICT, body, headers)

    def raw(self, data, patience=0.3):
        """The answer to some bytes, until the server ends the connection or is silent for `patience` seconds."""
        with socket.create_connection(self.rest, SECONDS) as connection:
            with contextlib.suppress(ConnectionError):  # the server may close before all is sent
                connection.sendall(data)
            connection.settimeout(patience)
            return received(connection)

    def check(self):
        """Check that the server answers, and has logged no bug since the last check."""
        assert self._process.poll() is None
        printed = self.log.read_text(errors="replace")
        since, self._seen = printed[self._seen :], len(printed)
        assert "Traceback" not in since
        assert self.post(GOOD)[0] == 200


def received(connection):
    """All bytes until the other side ends the connection, or is silent for too long."""
    parts = []
    with contextlib.suppress(ConnectionResetError, TimeoutError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.fixture(scope="module")
def running(shared_store, tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    models = [f'config {{ name: "{name}" base_path: "{shared_store / name}" model_platform: "tensorflow" }}'
              for name in ("scale", "half")]  # fmt: skip
    (root / "models.config").write_text(f"model_config_list {{ {' '.join(models)} }}")
    (root / "monitoring").write_text("prometheus_config { enable: true }")
    port, rest_port, log = free_port(), free_port(), root / "log"
    flags = [
        *(f"--model_config_file={root}/models.config", f"--monitoring_config_file={root}/monitoring"),
        *(f"--rest_api_port={rest_port}", f"--rest_api_timeout_in_ms={TIMEOUT * 1000:.0f}"),
    ]
    with ending(start_server(port, flags, root, log)) as process:
        wait_ready(process, f"127.0.0.1:{port}", ["scale", "half"], log)
        server = Server(process, f"127.0.0.1:{port}", f"127.0.0.1:{rest_port}", log)
        server.rss = rss_mb(process.pid)
        yield server


@pytest.fixture
def server(running):
    """The server, which is checked after each test."""
    yield running
    running.check()


def error(answer):
    """The text of an error's body."""
    assert len(answer) < MAX_ANSWER
    document = json.loads(answer)
    assert list(document) == ["error"]
    return document["error"]


NESTED = b'{"signature_name": "identity_float32", "inputs": %s}'
BODIES = {
    "100,000 brackets": b"[" * 100_000,
    "100,000 brackets, closed": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "brackets around NaN": b'{"instances": ' + b"[" * 100_000 + b"NaN" + b"]" * 100_000 + b"}",
    "900 brackets": NESTED % (b"[" * 900 + b"1" + b"]" * 900),
    "900 brackets around NaN": NESTED % (b"[" * 900 + b"NaN" + b"]" * 900),
    "900 brackets that end elsewhere": NESTED % (b"[[[1]], " + b"[" * 900 + b"]" * 900 + b"]"),
    "900 brackets, no object": b"[" * 900 + b"]" * 900,
    "900 objects": b'{"instances": ' + b'{"a":' * 900 + b"1" + b"}" * 901,
    "65 dimensions": NESTED % (b"[" * 65 + b"1" + b"]" * 65),
    "10 MB of one string": b'"' + b"a" * 10_000_000 + b'"',
    "10 MB for a number": b'{"instances": [["' + b"a" * 10_000_000 + b'", 1]]}',
    "10 MB of a name": b'{"signature_name": "' + b"a" * 10_000_000 + b'", "instances": [[1, 2]]}',
    "10 MB of a key": b'{"instances": [{"' + b"a" * 10_000_000 + b'": 1}]}',
    "10 MB of space": b" " * 10_000_000,
    "10 MB of digits": b'{"instances": [[' + b"9" * 10_000_000 + b", 1]]}",
    "a name of control bytes": rb'{"signature_name": "\u0000\r\n\"../../etc/passwd", "instances": [[1, 2]]}',
    "invalid UTF-8": b'{"instances": [["\xff\xfe", 1]]}',
    "invalid UTF-8 beside NaN": b'{"instances": [[NaN, "\xff"]]}',
    "UTF-16": '{"instances": [[1, 2]]}'.encode("utf-16"),
    "half a pair": rb'{"instances": [["\ud800", 1]]}',
    "half a pair beside NaN": rb'{"instances": [["\ud800", NaN]]}',
    "NUL": b"\0" * 100,
    "NUL in JSON": b'{"instances": \0[[1, 2]]}',
    "1e400": b'{"instances": [[1e400, 1]]}',
    "1e400 beside NaN": b'{"signature_name": "identity_int64", "inputs": [1e400, NaN]}',
    "400 digits": b'{"signature_name": "identity_int64", "inputs": [' + b"9" * 400 + b"]}",
    "5,000 digits beside NaN": b'{"signature_name": "identity_int64", "inputs": [' + b"9" * 5000 + b", NaN]}",
    "a number cut off": b'{"instances": [[1, 2',
    "no JSON": b"instances=1&inputs=2",
    "a protobuf": b"\x0a\x07\x0a\x05scale",
    "both keys": b'{"instances": [[1, 2]], "inputs": [[1, 2]]}',
    "rows of different lengths": b'{"instances": [[1, 2], [1]]}',
    "20,000 rows, the last one bad": b'{"instances": [' + b"[1,2]," * 20_000 + b"[1]]}",
    "base64 with other characters": b'{"signature_name": "identity_string", "inputs": [{"b64": "\xc3\xa9*"}]}',
    "keys beside b64": b'{"signature_name": "identity_string", "inputs": [{"b64": "YQ==", "a": 1}]}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_hostile_bodies(server, body):
    status, answer = server.post(body)

    assert status == 400
    assert error(answer)


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[5, 6]], "instances": [[1, 2]]}',
        b'{"signature_name": "none", "instances": [[1, 2]], "signature_name": "serving_default"}',
        b'{"instances": [[1, 2]], "__proto__": {"a": 1}, "other": ' + b"[" * 500 + b"]" * 500 + b"}",
    ],
)
def test_repeated_and_unknown_keys(server, body):
    assert server.post(body) == server.post(GOOD)


@pytest.mark.parametrize("what", ["classify", "regress"])
def test_an_error_cuts_a_long_feature_name(server, what):
    body = b'{"examples": [{"' + b"a" * 10_000_000 + b'": [1, "a"]}]}'

    status, answer = server.send("POST", f"{SCALE}:{what}", body)

    assert (status, bool(error(answer))) == (400, True)


@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "application/grpc", "a" * 10_000, None],
)
def test_content_types_are_ignored(server, kind):
    assert server.post(GOOD, {"Content-Type": kind} if kind else ())[0] == 200
    multipart = b'--a\r\nContent-Disposition: form-data; name="instances"\r\n\r\n[[1, 2]]\r\n--a--\r\n'
    status, answer = server.post(multipart, {"Content-Type": kind} if kind else ())
    assert (status, error(answer)[:17]) == (400, "JSON Parse error:")


def test_gzip(server):
    headers = {"Content-Encoding": "gzip"}
    bomb = gzip.compress(bytes(100_000_000), 1)
    assert server.post(bomb, headers)[0] == 413
    for body in (
        b"\x1f\x8b",
        gzip.compress(GOOD)[:-9],
        gzip.compress(GOOD)[10:],
        GOOD,
        gzip.compress(gzip.compress(GOOD)),
    ):
        status, answer = server.post(body, headers)
        assert (status, error(answer)[:17]) == (400, "JSON Parse error:")
    with ThreadPoolExecutor(16) as pool:
        assert {status for status, _ in pool.map(lambda _: server.post(bomb, headers), range(16))} <= {413, 504}


def head(*lines, method="POST", path=PREDICT):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


CHUNKED = head("Transfer-Encoding: chunked", "Connection: close")
HEADS = {
    "no line": b"\r\n\r\n\r\n\r\n",
    "no HTTP": b"hello\r\n\r\n",
    "random": np.random.default_rng(3).bytes(10_000),
    "NUL": bytes(10_000),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "HTTP/9": b"GET /v1/models/scale HTTP/9.9\r\n\r\n",
    "no version": b"GET /v1/models/scale\r\n\r\n",
    "spaces": b"GET  /v1/models/scale   HTTP/1.1\r\n\r\n",
    "unknown method": b"BREW /v1/models/scale HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method of 100 kB": b"G" * 100_000 + b" / HTTP/1.1\r\n\r\n",
    "a path of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    "a header of 1 MB": b"GET / HTTP/1.1\r\na: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "100,000 headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: a\r\n\r\n",
    "a folded header": b"GET /v1/models/scale HTTP/1.1\r\na: b\r\n c\r\n\r\n",
    "bytes in the path": b"GET /v1/models/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    "no path": b"GET ? HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET #/v1/models/scale HTTP/1.1\r\nHost: a\r\n\r\n",
    "everything": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "a proxy": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\n",
    "negative length": head("Content-Length: -1"),
    "length in words": head("Content-Length: ten"),
    "length with a sign": head("Content-Length: +10") + GOOD,
    "length over 64 bits": head(f"Content-Length: {2**64}"),
    "length of 5,000 digits": head(f"Content-Length: {'9' * 5_000}"),
    "1 TB": head(f"Content-Length: {2**40}"),
    "two lengths": head("Content-Length: 5", f"Content-Length: {len(GOOD)}") + GOOD,
    "length and chunks": head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "unknown encoding": head("Transfer-Encoding: a", f"Content-Length: {len(GOOD)}") + GOOD,
    "a chunk without length": CHUNKED + b"\r\n" + GOOD,
    "a negative chunk": CHUNKED + b"-5\r\n" + GOOD,
    "a chunk over 64 bits": CHUNKED + b"FFFFFFFFFFFFFFFFF\r\n" + GOOD,
    "a chunk longer than said": CHUNKED + b"5\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "an upgrade": head("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a", method="GET", path=SCALE),
    "h2c": head("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA", method="GET", path=SCALE),
}


@pytest.mark.parametrize("data", HEADS.values(), ids=HEADS)
def test_hostile_heads(server, data):
    """There are one or more answers, or none if the head is cut off."""
    answer = server.raw(data)

    assert re.match(rb"$|HTTP/1\.1 (2|4)\d\d ", answer)
    assert b"HTTP/1.1 5" not in answer
    assert len(answer) < MAX_ANSWER


def test_chunks(server):
    pieces = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in GOOD)
    assert b"200 OK" in server.raw(CHUNKED + pieces + b"0\r\nTrailer: a\r\n\r\n", SECONDS)
    assert server.raw(CHUNKED + b"0\r\n\r\n", SECONDS).startswith(b"HTTP/1.1 400 ")


def test_many_requests_on_one_connection(server):
    """5,000 requests are sent at once, before any answer is read."""
    request = head(method="GET", path=SCALE)
    answers = server.raw(request * 4_999 + head("Connection: close", method="GET", path=SCALE), SECONDS)

    assert answers.count(b"HTTP/1.1 200 OK") == 5_000


@pytest.mark.parametrize("length", [str(len(GOOD) + 1), "1000000"])
def test_a_body_shorter_than_its_content_length(server, length):
    """The timeout is for the whole body, not for each part."""
    began = time.monotonic()
    with socket.create_connection(server.rest, SECONDS) as connection:
        connection.sendall(head(f"Content-Length: {length}") + GOOD)
        answer = received(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert TIMEOUT * 0.9 < time.monotonic() - began < TIMEOUT + 5


@pytest.mark.parametrize(
    "headers",
    [[f"Content-Length: {MAX_MESSAGE_BYTES + 1}"], [f"Content-Length: {2**62}"], ["Transfer-Encoding: chunked"]],
)
def test_a_body_above_the_limit(server, headers):
    chunk = b"1000000\r\n" + bytes(2**24) + b"\r\n"
    with socket.create_connection(server.rest, SECONDS) as connection:
        with contextlib.suppress(ConnectionError):  # the server may close before all is sent
            connection.sendall(head(*headers))
            for _ in range(5 if "chunked" in headers[0] else 0):
                connection.sendall(chunk)
        assert received(connection).startswith(b"HTTP/1.1 413 ")


PATHS = {
    "/v1/models/..%2f..%2fetc:predict": 404,
    "/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd:predict": 404,
    "/v1/models/scale%00:predict": 404,
    "/v1/models/%0d%0aX-A:%20b:predict": 400,
    "/v1/models/%22%7d%0aa%7bb=%22:predict": 404,
    "/v1/models/%:predict": 404,
    "/v1/models/%zz:predict": 404,
    "/v1/models/%c0%af:predict": 400,
    "/v1//models/scale:predict": 400,
    "//v1/models/scale:predict": 404,
    "/v1/models//scale:predict": 400,
    "/v1/./models/scale:predict": 400,
    "/v1/models/../models/scale:predict": 400,
    "/v1/models/scale:predict/": 400,
    "/v1/models/scale:predict:predict": 400,
    "/v1/models/scale:predict%00": 400,
    "/v1/models/scale:predict?signature_name=a": 400,
    "/v1/models/scale;a=b:predict": 404,
    "/v1/models/scale\\..\\half:predict": 404,
    "/v1/models/scale/versions/2/../1:predict": 400,
    "/v1/models/scale/versions/%32:predict": 400,
    "/v1/models/scale/versions/2e0:predict": 400,
    f"/v1/models/scale/versions/{2**64}:predict": 400,
    "/v1/models/scale/labels/..%2f:predict": 400,
    f"/v1/models/{'a' * 60_000}:predict": 404,
    f"/v1/models/{'%f0%9f%92%a9' * 5_000}:predict": 404,
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_hostile_paths(server, path):
    status, answer = server.send("POST", path, GOOD)

    assert status == PATHS[path]
    assert answer.startswith(b"<HTML>") or error(answer)
    assert b"root:" not in answer


def test_targets_with_a_host(server):
    for target, status in (("http://other/v1/models/scale", b"200"), ("http://other/etc/passwd", b"404")):
        answer = server.raw(head("Connection: close", method="GET", path=target), SECONDS)
        assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "HEAD", "OPTIONS", "PROPFIND", "GET"])
def test_other_methods(server, method):
    status, _ = server.send(method, PREDICT, GOOD)

    assert status == 400


def test_the_metrics_stay_well_formed_and_short(server):
    """Names that clients made up are not in the metrics."""
    server.check()
    before = len(server.send("GET", METRICS)[1])
    for index in range(300):
        name = base64.b16encode(bytes([index % 256, index // 256, 34, 10, 92])).decode()
        encoded = "".join(f"%{name[at : at + 2]}" for at in range(0, len(name), 2)) if index % 2 else f"made{index}up"
        server.send("POST", f"/v1/models/{encoded}:predict", GOOD)
        server.send("GET", f"/v1/models/{encoded}/labels/{encoded}/metadata")
        server.send("POST", PREDICT, json.dumps({"signature_name": f"made{index}up", "instances": [[1, 2]]}))

    with Client(server.address) as client:
        for index in range(300):
            with pytest.raises(InputError):
                client.predict(f"made{index}up", {"x": np.ones((1, 2), np.float32)})

    text = server.send("GET", METRICS)[1].decode()
    assert "made" not in text
    assert len(text) < before * 1.2 + 1_000
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.fullmatch(line)


def test_a_request_in_two_parts_is_answered_at_once(server):
    """Most clients send head and body in separate packets. The second must not wait for a delayed acknowledgement."""
    times = []
    with socket.create_connection(server.rest, SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(30):
            began = time.perf_counter()
            connection.sendall(head(f"Content-Length: {len(GOOD)}"))
            connection.sendall(GOOD)
            answer = b""
            while not answer.endswith(b"]}"):
                part = connection.recv(65536)
                assert part, f"the connection ended after {answer}"
                answer += part
            times.append(time.perf_counter() - began)

    assert np.median(times) < 0.03  # seconds; a delayed acknowledgement takes 0.04


def test_slow_clients_do_not_slow_others(server):
    """100 requests arrive a byte at a time."""
    data, stop = head(f"Content-Length: {len(GOOD)}") + GOOD, threading.Event()

    def trickle():
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(socket.create_connection(server.rest, SECONDS)) for _ in range(100)]
            for at in range(len(data)):
                if stop.wait(0.1):
                    return
                for connection in slow:
                    with contextlib.suppress(ConnectionError):
                        connection.sendall(data[at : at + 1])

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        times = []
        connection = http.client.HTTPConnection(*server.rest, timeout=SECONDS)
        with contextlib.closing(connection), Client(server.address) as client:
            for _ in range(100):
                began = time.perf_counter()
                client.predict("scale", {"x": np.ones((1, 2), np.float32)})
                between = time.perf_counter()
                connection.request("POST", PREDICT, GOOD)
                assert connection.getresponse().read()
                times += [between - began, time.perf_counter() - between]
    finally:
        stop.set()
        thread.join()
    assert np.percentile(times, 99) < 0.25  # seconds; a few milliseconds on an idle machine


def test_reloads_that_wait_do_not_stop_large_requests(saved_models, shared_store, tmp_path):
    """Ten reloads wait for the next try of a model that does not load; a large body is answered meanwhile."""
    (tmp_path / "1").symlink_to(saved_models["corrupt"])
    models = [ModelConfig("scale", shared_store / "scale")]
    request = model_management_pb2.ReloadConfigRequest()
    for name, path in (("scale", shared_store / "scale"), ("corrupt", tmp_path)):
        request.config.model_config_list.config.add(name=name, base_path=str(path), model_platform="tensorflow")
    settings = ServerConfig(models=models, rest_port=0, rest_timeout_seconds=5)
    with ModelServer(settings) as running, grpc.insecure_channel(running.address) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        waiting = [stub.HandleReloadConfigRequest.future(request, timeout=SECONDS) for _ in range(10)]
        host, _, port = running.rest_address.partition(":")
        deadline = time.monotonic() + SECONDS
        while "corrupt" not in running._service.manager.models():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", PREDICT, b'{"instances": [' + b"[1,2]," * 20_000 + b"[1,2]]}")
            status = connection.getresponse().status
        for call in waiting:
            call.cancel()
    assert status == 200


def test_memory_does_not_grow(server):
    """A leak grows in every round; the memory that the allocator keeps for its threads grows in some rounds only."""

    def answer_all():
        for body in BODIES.values():
            server.post(body)
        for data in HEADS.values():
            server.raw(data, 0.02)
        return rss_mb(server.pid)

    sizes = [answer_all() for _ in range(6)]
    assert min(after - before for before, after in pairwise(sizes)) < GROWTH_MB
    assert sizes[-1] - server.rss < KEPT_MB
