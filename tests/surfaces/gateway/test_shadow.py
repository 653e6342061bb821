"""The shadow: what overlaps, what is sampled, and that it neither shows nor remembers anything."""

import asyncio

import pytest

from segue.errors import UnavailableError
from serving.store.split import Split
from surfaces.arms.assigned import Experiments
from surfaces.cohorts import shadow as module
from surfaces.cohorts.counts import SHADOW, STABLE_SHADOW
from surfaces.cohorts.shadow import shared
from surfaces.engine.page import EMPTY, ShownItem, one_list
from surfaces.versions import MODELS
from tests.support.soon import SECONDS
from tests.surfaces.gateway.conftest import USERS

SPLIT = Split(3, "running", 0.0, {"ranking": 2, "retrieval": 2}, shadow=1.0)


@pytest.fixture(autouse=True)
def shadowed(world):
    """Version 2 of two models, in the shadow of all requests."""
    world.server.others = {("ranking", 2): 2, ("retrieval", 2): 2}
    world.experiments = Experiments(split=SPLIT)


def page(*items):
    return one_list([ShownItem(item, 1, place, place) for place, item in enumerate(items, 1)], "test")


def test_the_overlap_worked_by_hand():
    assert shared(page("1", "2", "3", "4"), page("4", "9", "1", "8")) == 0.5
    assert shared(page(*map(str, range(20))), page(*map(str, range(10, 30)))) == 0.0  # the first ten are compared
    assert shared(EMPTY, page("1")) == 0.0


async def asked(client, users):
    """The pages of some listeners, after the shadow has taken what waits."""
    work = asyncio.create_task(client.gateway.shadow.work())
    pages = [
        (await client.post("/v1/home", json={"user_id": user, "request_id": f"r-{user}"})).json() for user in users
    ]
    async with asyncio.timeout(10):
        while client.gateway.metrics.cohorts.by_number[3][SHADOW].requests < len(users):
            await asyncio.sleep(0.01)
    work.cancel()
    return pages


def test_the_candidate_is_asked_and_nobody_sees_it(world, talk):
    async def conversation(client):
        pages = await asked(client, USERS)
        assert [page["versions"] for page in pages] == [dict.fromkeys(MODELS, 1)] * len(USERS)
        assert {("retrieval", 2), ("ranking", 2)} <= set(world.server.asked_versions)
        client.gateway.journal.append([]).result(SECONDS)
        logged = [client.gateway.journal.exposures(page["request_id"]) for page in pages]
        assert all(one[0].model_versions == dict.fromkeys(MODELS, 1) and not one[0].arms for one in logged)
        assert client.gateway.metrics.levels.samples() == [(("home", "0"), len(USERS))]  # the shadow is no answer
        return client.gateway.metrics.cohorts.by_number[3]

    counts = talk(conversation)
    assert (counts[SHADOW].requests, counts[STABLE_SHADOW].requests) == (len(USERS), len(USERS))
    assert (counts[SHADOW].errors, counts[STABLE_SHADOW].errors) == (0, 0)
    assert counts[SHADOW].overlap == len(USERS)  # both versions of this server find the same, and draw by one seed


def test_a_candidate_that_fails_costs_no_page_and_is_counted(world, talk):
    predict = world.server.predict

    async def fail(model, inputs, signature, version, timeout):
        if version == 2:
            raise UnavailableError("it is down", "")
        return await predict(model, inputs, signature=signature, version=version, timeout=timeout)

    world.server.predict = fail

    async def conversation(client):
        for page in await asked(client, USERS):
            assert (page["level"], page["degraded"]) == (0, [])
        return client.gateway.metrics.cohorts.by_number[3]

    counts = talk(conversation)
    assert (counts[SHADOW].errors, counts[STABLE_SHADOW].errors) == (len(USERS), 0)


def test_a_version_that_is_not_loaded_is_an_error(world, talk):
    world.server.others.clear()

    async def conversation(client):
        await asked(client, USERS[:2])
        return client.gateway.metrics.cohorts.by_number[3]

    counts = talk(conversation)
    assert (counts[SHADOW].requests, counts[SHADOW].errors) == (2, 2)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_sample_is_sent(world, talk, share):
    world.experiments = Experiments(split=Split(3, "running", 0.0, SPLIT.candidate, share))

    async def conversation(client):
        for number in range(50):
            await client.get("/v1/new-releases", params={"user_id": USERS[number % 9]})
        return client.gateway.shadow._waiting.qsize()

    # 20 of 50 are expected at 0.4, with a standard deviation of 3.5; the ids of new releases are random.
    assert abs(talk(conversation) - 50 * share) <= 50 * share * 0.85


def test_a_full_queue_drops_requests_and_no_page_waits(world, talk, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)

    async def conversation(client):
        for user in USERS:
            await client.post("/v1/home", json={"user_id": user})
        assert client.gateway.shadow.dropped == len(USERS) - 2
        return (await client.get("/metrics")).text

    assert f"segue_gateway_shadow_dropped_total {len(USERS) - 2}" in talk(conversation)
