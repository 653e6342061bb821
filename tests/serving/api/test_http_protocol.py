"""The limits of the HTTP protocol, with clients that break them."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from serving.api.http_protocol import LimitedProtocol
from tests.support.soon import SECONDS

LARGE = 32 * 1024 * 1024


class Impatient(LimitedProtocol):
    head_bytes = 10_000
    head_seconds = 0.5
    stall_seconds = 0.5


async def _app(scope, receive, send):
    """An application that reads the body; it answers briefly, or at length under /large."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    size = LARGE if scope["path"] == "/large" else 3
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    await send({"type": "http.response.body", "body": bytes(size)})


@pytest.fixture(scope="module")
def server():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(_app, http=Impatient, ws="none", lifespan="off", log_config=None)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(running.serve([listening])))
        thread.start()
        running.address = listening.getsockname()
        yield running
        running.should_exit = True
        thread.join()


@pytest.fixture
def connection(server):
    with contextlib.closing(_connected(server)) as made:
        yield made


def _connected(server):
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection(server.address, timeout=20)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _answer(connection):
    """All bytes until the server ends the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 20_000, b"GET / HTTP/1.1\r\na: " + b"b" * 20_000])
def test_a_head_that_is_too_long(connection, head):
    connection.sendall(head)
    assert _answer(connection).startswith(b"HTTP/1.1 400 ")


def test_endless_headers(connection):
    connection.sendall(b"GET / HTTP/1.1\r\n")
    with contextlib.suppress(OSError):
        for _ in range(40_000):
            connection.sendall(b"name: " + b"v" * 1000 + b"\r\n")
        pytest.fail("the server read 40 MB of headers")


def test_a_head_that_does_not_end(connection):
    began = time.monotonic()
    connection.sendall(b"GET / HTTP/1.1\r\nHo")
    assert _answer(connection) == b""
    assert 0.4 < time.monotonic() - began < SECONDS


def test_bodies_are_not_heads(connection):
    """A body may be longer and slower than a head, and another request may follow."""
    for _ in range(2):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + bytes(10_000))
        time.sleep(0.7)
        connection.sendall(bytes(10_000))
        answer = b""
        while not answer.endswith(b"\r\n\r\n" + bytes(3)):
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_stops_reading_is_disconnected(server, connection):
    connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    deadline = time.monotonic() + SECONDS
    time.sleep(0.2)
    while server.server_state.connections:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(_answer(connection)) < LARGE


def test_a_client_that_reads_slowly_gets_the_whole_answer(connection):
    connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    size = 0
    while part := connection.recv(2 * 1024 * 1024):
        size += len(part)
        time.sleep(0.02)
    assert size > LARGE
