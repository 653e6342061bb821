"""The simulated clock: each request says what time it is."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from surfaces.gateway.simulated_clock import HEADER, SimulatedClock, simulated_now


async def now(request):
    await asyncio.sleep(0.01)
    return PlainTextResponse(simulated_now().isoformat())


async def ready(request):
    return PlainTextResponse("ok")


APP = SimulatedClock(Starlette(routes=[Route("/v1/now", now), Route("/readyz", ready)]))


def get(path: str, *times: str | None) -> list[httpx.Response]:
    """The answers to requests at these times, all under way at once."""

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://gateway") as client:
            headers = [{HEADER: time} if time else {} for time in times]
            return await asyncio.gather(*(client.get(path, headers=header) for header in headers))

    return asyncio.run(ask())


def test_requests_under_way_have_times_of_their_own():
    answers = get("/v1/now", "2026-02-02T08:00:00+00:00", "2026-02-03T09:30:00+01:00")
    assert [answer.text for answer in answers] == ["2026-02-02T08:00:00+00:00", "2026-02-03T08:30:00+00:00"]


@pytest.mark.parametrize("time", [None, "yesterday", "2026-02-02T08:00:00", "1770019200"])
def test_a_request_without_a_time_with_a_zone_is_refused(time):
    (answer,) = get("/v1/now", time)
    assert answer.status_code == 422
    assert HEADER in answer.json()["error"]


def test_probes_need_no_time():
    assert get("/readyz", None)[0].text == "ok"
