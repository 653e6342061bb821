"""Limits before the application: size, time and tokens."""

import asyncio
import time

import orjson
import pytest

from surfaces.engine.metrics import GatewayMetrics
from surfaces.engine.stage import Trace
from surfaces.gateway.limits import BODY_BYTES, MOST_RUNNING, Limits

WAITING = ("/v1/events", "/v1/dislikes", "/v1/why/r1/1")  # for the journal


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

    async def send(message):
        sent.append(message)

    headers = [(b"content-length", str(BODY_BYTES + 1).encode())]
    asyncio.run(Limits(None, GatewayMetrics())({"type": "http", "path": "/", "headers": headers}, never, send))
    assert sent[0]["status"] == 413


async def never():
    raise AssertionError("nothing is read")


async def body():
    return {"type": "http.request", "body": b"", "more_body": False}


def scope(path="/v1/home"):
    return {"type": "http", "path": path, "headers": []}


def test_pages_at_once_are_bounded():
    sent = []

    async def conversation():
        release = asyncio.Event()

        async def application(scope, receive, send):
            await release.wait()
            await send({"type": "http.response.start", "status": 200})

        async def send(message):
            sent.append(message)

        limits = Limits(application, GatewayMetrics())
        running = [asyncio.create_task(limits(scope(), body, send)) for _ in range(MOST_RUNNING)]
        await asyncio.sleep(0.01)
        await limits(scope(), body, send)
        refused = list(sent)
        waiting = [asyncio.create_task(limits(scope(path), body, send)) for path in WAITING]
        release.set()
        await asyncio.gather(*running, *waiting)
        await limits(scope(), body, send)
        return refused

    (start, answer) = asyncio.run(conversation())
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert (b"content-length", str(len(answer["body"])).encode()) in start["headers"]
    assert orjson.loads(answer["body"])["fix"]
    assert [message["status"] for message in sent[2:]] == [200] * (MOST_RUNNING + len(WAITING) + 1)


def test_a_client_that_leaves_within_its_body_is_counted():
    async def gone():
        return {"type": "http.disconnect"}

    metrics = GatewayMetrics()
    asyncio.run(Limits(None, metrics)(scope(), gone, None))
    assert 'segue_gateway_requests_total{endpoint="none",status="499"} 1' in metrics.text()


def test_deadlines_count_from_the_arrival_and_seconds_end_with_the_answer():
    seen = []

    async def application(scope, receive, send):
        await asyncio.sleep(0.02)
        seen.append(time.perf_counter() - Trace().began)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b""})
        await asyncio.sleep(0.3)  # a side effect

    async def send(message):
        pass

    metrics = GatewayMetrics()
    asyncio.run(Limits(application, metrics)(scope(), body, send))
    assert seen[0] >= 0.02
    assert 'segue_gateway_request_seconds_bucket{endpoint="none",le="0.2"} 1' in metrics.text()
