"""Hostile heads, paths and methods of REST requests: each gets a proper HTTP answer."""

import re

import pytest

from tests.serving.api.hostile.rest_requests import (
    GOOD,
    HEADS,
    MAX_ANSWER,
    PREDICT,
    SCALE,
    SECONDS,
    error_text,
    head,
)


@pytest.mark.parametrize("data", HEADS.values(), ids=HEADS)
def test_hostile_heads(server, data):
    """There are one or more answers, or none if the head is cut off."""
    answer = server.raw(data)

    assert re.match(rb"$|HTTP/1\.1 (2|4)\d\d ", answer)
    assert b"HTTP/1.1 5" not in answer
    assert len(answer) < MAX_ANSWER


def test_many_requests_on_one_connection(server):
    """5,000 requests are sent at once, before any answer is read."""
    request = head(method="GET", path=SCALE)
    answers = server.raw(request * 4_999 + head("Connection: close", method="GET", path=SCALE), SECONDS)

    assert answers.count(b"HTTP/1.1 200 OK") == 5_000


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
    assert answer.startswith(b"<HTML>") or error_text(answer)
    assert b"root:" not in answer


def test_targets_with_a_host(server):
    for target, status in (("http://other/v1/models/scale", b"200"), ("http://other/etc/passwd", b"404")):
        answer = server.raw(head("Connection: close", method="GET", path=target), SECONDS)
        assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "HEAD", "OPTIONS", "PROPFIND", "GET"])
def test_other_methods(server, method):
    status, _ = server.send(method, PREDICT, GOOD)

    assert status == 400
