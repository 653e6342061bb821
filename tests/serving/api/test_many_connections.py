"""Idle connections and calls that never end: other clients are answered, and the connections' resources are freed.

The server is a process of its own, so that its memory and open files can be measured apart from the tests'.
"""

import asyncio
import contextlib
import http.client
import os
import socket
import struct
import threading
import time
from collections import Counter
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from benchmarks.serving.process import ending, free_port, rss_mb, start_server, wait_ready
from serving.api import grpc_services
from serving.client.sync_client import Client

pytestmark = pytest.mark.slow  # the server starts in 5 s

SECONDS = 30
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, CONTINUATION = 0, 1, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
GROWTH_MB = 60


class Server:
    """A `segue serve` process of `scale`."""

    def __init__(self, pid, address, rest):
        self.pid, self.address, self.rest = pid, address, rest
        host, _, port = address.partition(":")
        self.grpc = host, int(port)

    def files(self):
        """The number of its open files."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def seconds(self, times=20):
        """The durations of valid requests over gRPC and REST, each on a new connection, in seconds."""
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            with Client(self.address) as client:
                answer = client.predict("scale", {"x": np.ones((1, 2), np.float32)})
                assert answer["y"].tolist() == [[2.0, 2.0]]
            between = time.perf_counter()
            connection = http.client.HTTPConnection(*self.rest, timeout=SECONDS)
            with contextlib.closing(connection):
                connection.request("POST", "/v1/models/scale:predict", b'{"instances": [[1, 2]]}')
                assert connection.getresponse().status == 200
            taken += [between - began, time.perf_counter() - between]
        return taken


@pytest.fixture(scope="module")
def server(shared_store, tmp_path_factory):
    root = tmp_path_factory.mktemp("connections")
    port, rest_port, log = free_port(), free_port(), root / "log"
    flags = [f"--rest_api_port={rest_port}", "--model_name=scale", f"--model_base_path={shared_store / 'scale'}"]
    with ending(start_server(port, flags, root, log)) as process:
        wait_ready(process, f"127.0.0.1:{port}", ["scale"], log)
        made = Server(process.pid, f"127.0.0.1:{port}", ("127.0.0.1", rest_port))
        made.seconds(5)
        yield made
        assert process.poll() is None
        assert "Traceback" not in log.read_text(errors="replace")


def frame(frame_type, flags, stream, payload=b""):
    """An HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", frame_type, flags, stream) + payload


def headers(path="/tensorflow.serving.PredictionService/Predict"):
    """The header block of a gRPC call, in HPACK's literal form."""
    pairs = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "a",
             "content-type": "application/grpc", "te": "trailers"}  # fmt: skip
    parts = (bytes([len(part)]) + part.encode() for pair in pairs.items() for part in pair)
    return b"".join(b"\0" + name + value for name, value in zip(parts, parts, strict=True))


@contextlib.contextmanager
def opened(*addresses):
    """Open a connection to each address; they are closed at the end of the `with` block."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address, SECONDS)) for address in addresses]


def wait_for_files(server, most):
    deadline = time.monotonic() + SECONDS
    while server.files() > most:
        assert time.monotonic() < deadline, f"{server.files()} files are open, {most} were expected"
        time.sleep(0.05)


def test_a_thousand_idle_connections(server):
    files, rss = server.files(), rss_mb(server.pid)
    with opened(*[server.grpc] * 500, *[server.rest] * 500) as connections:
        for connection in connections[:250]:
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        for connection in connections[500:750]:
            connection.sendall(b"GET /v1/models/scale HTTP/1.1\r\n")

        assert np.median(server.seconds()) < 1.0
        assert (
            server.files() >= files + 900
        )  # the server holds them; gRPC drops the few that it does not accept as clients
        assert rss_mb(server.pid) - rss < GROWTH_MB
    wait_for_files(server, files + 10)
    assert rss_mb(server.pid) - rss < GROWTH_MB


def test_idle_connections_after_a_request(server):
    """300 clients send one request each and stay connected."""
    files = server.files()
    with opened(*[server.rest] * 300) as connections:
        for connection in connections:
            connection.sendall(b"GET /v1/models/scale HTTP/1.1\r\nHost: a\r\n\r\n")
        assert all(connection.recv(100).startswith(b"HTTP/1.1 200 ") for connection in connections)
        server.seconds(5)
    wait_for_files(server, files + 10)


def test_connections_that_come_and_go(server):
    """None of 2,000 connections stays open after the client resets it."""
    files, rss = server.files(), rss_mb(server.pid)
    for index in range(2_000):
        with opened(server.rest if index % 2 else server.grpc) as (connection,):
            # A reset, as from a client that is killed, instead of a regular close.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"POST /v1" if index % 2 else PREFACE[:9])
    server.seconds(5)
    wait_for_files(server, files + 10)
    assert rss_mb(server.pid) - rss < GROWTH_MB


@pytest.mark.parametrize(
    "unfinished",
    [b"", frame(DATA, 0, 1, b"\0\0\0\0\x64half"), frame(DATA, 0, 1, b"\0\x7f\xff\xff\xff" + b"2 GB declared")],
    ids=["no message", "half a message", "2 GB declared"],
)
def test_calls_that_never_end(server, unfinished):
    """50 connections have a call each whose message never arrives."""
    with opened(*[server.grpc] * 50) as connections:
        for connection in connections:
            call = frame(HEADERS, END_HEADERS, 1, headers()) + unfinished
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + call)

        assert np.median(server.seconds()) < 1.0


@contextlib.contextmanager
def calls_that_never_end(address, connections, calls):
    """Open `calls` calls on each of so many connections; each has reached the server, or was refused."""
    with opened(*[address] * connections) as opened_ones:
        for connection in opened_ones:
            started = (frame(HEADERS, END_HEADERS, 2 * n + 1, headers()) for n in range(calls))
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + b"".join(started) + frame(PING, 0, 0, b"finished"))
        for connection in opened_ones:
            read = b""
            while b"finished" not in read:  # the answer to the last frame; or the server refuses the connection
                part = connection.recv(65536)
                if not part:
                    break
                read += part
        yield


@pytest.mark.parametrize("connections", [1, 12])
def test_more_calls_that_never_end_than_may_run_at_once(server, connections):
    """About 100 kB are enough to open so many calls, so they must not lock out other clients."""
    with calls_that_never_end(server.grpc, connections, 1_200 // connections):
        server.seconds(3)


@pytest.mark.parametrize("connections", [6, 10, 20])
def test_calls_wait_for_a_busy_event_loop_and_are_not_cancelled(connections):
    """150 calls on each connection never end; the 40 good calls behind them wait too, and are answered."""

    async def infer(kind, request):
        return predict_pb2.PredictResponse()

    def good_calls(port):
        call = "/tensorflow.serving.PredictionService/Predict"
        with contextlib.ExitStack() as stack:
            stack.enter_context(calls_that_never_end(("127.0.0.1", port), connections, 150))
            own = [("grpc.use_local_subchannel_pool", 1)]
            channels = [stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}", own)) for _ in range(40)]
            for channel in channels:
                grpc.channel_ready_future(channel).result(SECONDS)
            answers = [channel.unary_unary(call).future(b"", timeout=SECONDS) for channel in channels]
            time.sleep(0.2)  # all are with the server, whose event loop is still busy
            busy.set()
            return Counter(str(answer.code()) for answer in answers)

    async def run():
        service = SimpleNamespace(infer=infer, metadata=None, status=None)
        server = grpc_services.server(service, None, (), wait=lambda seconds: True)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        codes = asyncio.get_running_loop().run_in_executor(None, good_calls, port)
        busy.wait(SECONDS)  # nothing runs on the event loop meanwhile
        try:
            return await codes
        finally:
            await server.stop(0)

    busy = threading.Event()
    assert asyncio.run(run()) == {"StatusCode.OK": 40}


@pytest.mark.parametrize(
    "frames",
    [
        frame(HEADERS, 0, 1, headers()) + frame(CONTINUATION, 0, 1, b"\0\x01a\x01b" * 1_000) * 200,
        frame(SETTINGS, 0, 0) * 20_000,
        frame(PING, 0, 0, bytes(8)) * 20_000,
        b"".join(frame(HEADERS, END_HEADERS, n, headers()) + frame(3, 0, n, bytes(4)) for n in range(1, 10_000, 2)),
        frame(DATA, END_STREAM, 99, b"a"),
        frame(HEADERS, END_HEADERS, 2, headers()),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" * 500),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, headers("/" + "a" * 126)),
        b"\xff" * 20_000,
    ],
    ids=["continuations", "settings", "pings", "resets", "no stream", "even stream", "no HPACK", "path", "no frame"],
)
def test_hostile_frames(server, frames):
    files, rss = server.files(), rss_mb(server.pid)
    with opened(server.grpc) as (connection,):
        with contextlib.suppress(ConnectionError):  # the server may close before all is sent
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frames)
        server.seconds(3)
    wait_for_files(server, files + 10)
    assert rss_mb(server.pid) - rss < GROWTH_MB
