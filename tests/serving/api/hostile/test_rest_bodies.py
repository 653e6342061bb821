"""Hostile REST bodies: each gets a proper HTTP answer."""

import contextlib
import gzip
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.protocol.tensors import MAX_MESSAGE_BYTES
from tests.serving.api.hostile.rest_requests import (
    BODIES,
    CHUNKED,
    GOOD,
    SCALE,
    SECONDS,
    TIMEOUT,
    error_text,
    head,
    received,
)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_hostile_bodies(server, body):
    status, answer = server.post(body)

    assert status == 400
    assert error_text(answer)


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


@pytest.mark.parametrize("method", ["classify", "regress"])
def test_an_error_cuts_a_long_feature_name(server, method):
    body = b'{"examples": [{"' + b"a" * 10_000_000 + b'": [1, "a"]}]}'

    status, answer = server.send("POST", f"{SCALE}:{method}", body)

    assert (status, bool(error_text(answer))) == (400, True)


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "application/grpc", "a" * 10_000, None],
)
def test_content_types_are_ignored(server, content_type):
    assert server.post(GOOD, {"Content-Type": content_type} if content_type else ())[0] == 200
    multipart = b'--a\r\nContent-Disposition: form-data; name="instances"\r\n\r\n[[1, 2]]\r\n--a--\r\n'
    status, answer = server.post(multipart, {"Content-Type": content_type} if content_type else ())
    assert (status, error_text(answer)[:17]) == (400, "JSON Parse error:")


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
        assert (status, error_text(answer)[:17]) == (400, "JSON Parse error:")
    with ThreadPoolExecutor(16) as pool:
        assert {status for status, _ in pool.map(lambda _: server.post(bomb, headers), range(16))} <= {413, 504}


def test_chunks(server):
    pieces = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in GOOD)
    assert b"200 OK" in server.raw(CHUNKED + pieces + b"0\r\nTrailer: a\r\n\r\n", SECONDS)
    assert server.raw(CHUNKED + b"0\r\n\r\n", SECONDS).startswith(b"HTTP/1.1 400 ")


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
