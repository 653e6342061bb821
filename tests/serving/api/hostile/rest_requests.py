"""A valid REST request, hostile bodies and heads, and functions that read answers."""

import contextlib
import json

import numpy as np

SECONDS = 30  # in which an answer must come
TIMEOUT = 1.0  # of the server, in seconds
MAX_ANSWER = 64 * 1024  # bytes; an error may quote a path, which may be as long as a head
SCALE = "/v1/models/scale"
PREDICT = f"{SCALE}:predict"
GOOD = b'{"instances": [[1, 2]]}'


def head(*lines, method="POST", path=PREDICT):
    """The head of a request, with further header lines."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


def received(connection):
    """All bytes until the other side ends the connection, or is silent for too long."""
    parts = []
    with contextlib.suppress(ConnectionResetError, TimeoutError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def error_text(answer):
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
