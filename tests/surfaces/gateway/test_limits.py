"""Limits before the application: size, time and tokens."""

import asyncio

import orjson
import pytest

from surfaces.engine.metrics import GatewayMetrics
from surfaces.gateway.limits import BODY_BYTES, Limits


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(BODY_BYTES, 422), (BODY_BYTES + 1, 413)])
def test_a_body_has_64_kib(talk, size, status, chunked):
    content = orjson.dumps({"user_id": "x" * (size - len('{"user_id":""}'))})
    assert len(content) == size

    async def pieces():
        for start in range(0, size, 10_000):
            yield content[start : start + 10_000]

    async def conversation(client):
        body = pieces() if chunked else content
        return await client.post("/v1/home", content=body, headers={"content-type": "application/json"})

    answer = talk(conversation)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"authorization": "Bearer right-token-of-a-caller"}, 200),
        ({"authorization": "bearer right-token-of-a-caller"}, 200),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic right-token-of-a-caller"}, 401),
        ({"authorization": "right-token-of-a-caller"}, 401),
        ({}, 401),
    ],
)
def test_callers_have_tokens(world, talk, header, status):
    world.tokens = ("another-token-of-a-caller", "right-token-of-a-caller")

    async def conversation(client):
        return await client.get("/v1/items/1", headers=header), await client.get("/healthz")

    answer, probe = talk(conversation)
    assert answer.status_code == status
    assert status == 200 or answer.headers["www-authenticate"] == "Bearer"
    assert probe.status_code == 200


def test_a_body_that_does_not_come_is_not_awaited_for_ever():
    sent = []

    async def application(scope, receive, send):
        raise AssertionError("the request is not whole")

    async def receive():
        await asyncio.sleep(30)

    async def send(message):
        sent.append(message)

    limits = Limits(application, GatewayMetrics(), body_seconds=0.02)
    asyncio.run(limits({"type": "http", "path": "/v1/home", "headers": []}, receive, send))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_an_announced_length_is_believed():
    sent = []

    async def receive():
        raise AssertionError("nothing is read")

    async def send(message):
        sent.append(message)

    headers = [(b"content-length", str(BODY_BYTES + 1).encode())]
    asyncio.run(Limits(None, GatewayMetrics())({"type": "http", "path": "/", "headers": headers}, receive, send))
    assert sent[0]["status"] == 413
