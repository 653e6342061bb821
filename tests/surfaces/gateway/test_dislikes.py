"""Lasting dislikes: the item and its creator stay away, in every session and from every gateway."""

import asyncio
import threading

import pytest

from events.journal.records import Dislike
from surfaces.dislikes import MOST, Dislikes
from tests.support.soon import SECONDS
from tests.surfaces.conftest import NOW
from tests.surfaces.gateway.conftest import IDS, open_client

SAME = {item for item in IDS if int(item) % 11 == 20 % 11}  # by the creator of item 20


def items_of(page):
    return {item["item_id"] for shelf in page["shelves"] for item in shelf["items"]}


async def dislike(client, item, **more):
    """Say that `u1` dislikes an item."""
    return await client.post("/v1/dislikes", json={"user_id": "u1", "item_id": item, **more})


async def shown(client, user="u1"):
    """All items that Home, the next items and the new releases show."""
    home = (await client.post("/v1/home", json={"user_id": user})).json()
    following = (await client.post(f"/v1/sessions/s-{user}/next", json={"user_id": user, "k": 50})).json()
    releases = (await client.get("/v1/new-releases", params={"user_id": user})).json()
    lists = following["items"] + following["queue"] + releases["items"]
    return items_of(home) | {item["item_id"] for item in lists}


def test_a_disliked_item_and_its_creator_are_not_shown_again_until_it_is_withdrawn(talk):
    async def run(client):
        before = await shown(client)  # some of them are promised
        answer = await dislike(client, "20")
        during, other = await shown(client), await shown(client, "u2")
        back = await dislike(client, "20", withdrawn=True)
        return before, answer.json(), during, other, back.json(), await shown(client)

    before, answer, during, other, back, after = talk(run)
    assert answer == {"user_id": "u1", "items": ["20"]}
    assert before & SAME
    assert not during & SAME
    assert other & SAME
    assert back == {"user_id": "u1", "items": []}
    assert after & SAME


@pytest.mark.parametrize("failing", [{"server"}, {"sequence", "retrieval"}])
def test_fallbacks_do_not_show_them_either(talk, world, failing):
    async def run(client):
        await dislike(client, "20")
        world.server.failing = failing
        return await shown(client)

    items = talk(run)
    assert items
    assert not items & SAME


def test_they_outlive_the_gateway_and_reach_other_gateways(world):
    async def run():
        async with open_client(world) as one, open_client(world) as two:
            following = asyncio.create_task(two.gateway.dislikes.follow(two.gateway.journal.keeping, 0.001))
            await dislike(one, "20")
            while not two.gateway.dislikes.of("u1"):
                await asyncio.sleep(0.001)
            items = await shown(two)
            await dislike(two, "20", withdrawn=True)
            await dislike(two, "21")
            following.cancel()
        restarted = Dislikes()
        async with open_client(world) as later:
            following = asyncio.create_task(restarted.follow(later.gateway.journal.keeping, 0.001))
            while not restarted.of("u1"):
                await asyncio.sleep(0.001)
            following.cancel()
        return items, restarted

    items, restarted = asyncio.run(run())
    assert not items & SAME
    assert restarted.of("u1") == ("21",)
    restarted.forget(lambda user_id: user_id == "u1")
    assert restarted.of("u1") == ()


@pytest.mark.parametrize("withdrawn", [False, True])
def test_a_look_that_began_before_does_not_undo_what_was_answered_meanwhile(world, monkeypatch, withdrawn):
    async def run():
        async with open_client(world) as client:
            gateway, look_ends = client.gateway, threading.Event()
            read = gateway.journal.keeping.dislikes

            def slow(after):
                found = read(after)
                assert look_ends.wait(SECONDS)
                return found

            await dislike(client, "20", withdrawn=not withdrawn)
            monkeypatch.setattr(gateway.journal.keeping, "dislikes", slow)
            looking = asyncio.create_task(gateway.dislikes.look(gateway.journal.keeping))
            await asyncio.sleep(0.05)
            await dislike(client, "20", withdrawn=withdrawn)
            look_ends.set()
            await looking
            during = gateway.dislikes.of("u1")
            await gateway.dislikes.look(gateway.journal.keeping)
            return during, gateway.dislikes.of("u1")

    expected = () if withdrawn else ("20",)
    assert asyncio.run(run()) == (expected, expected)


def test_a_look_that_fails_leaves_what_is_known(talk, monkeypatch, caplog):
    async def run(client):
        await dislike(client, "20")
        monkeypatch.setattr(client.gateway.journal.keeping, "dislikes", lambda after: 1 / 0)
        await client.gateway.dislikes.look(client.gateway.journal.keeping)
        return client.gateway.dislikes.of("u1")

    assert talk(run) == ("20",)
    assert "does not give the dislikes" in caplog.text


def test_a_listener_has_500_and_the_first_goes():
    known = Dislikes()
    for number in range(MOST + 1):
        known.say(Dislike(f"d{number}", "u1", f"i{number}", NOW))
    assert (MOST, known.of("u1")) == (500, tuple(f"i{n}" for n in range(1, MOST + 1)))


@pytest.mark.parametrize(("item", "status"), [("zzz", 404), ("\0", 422), ("20", 200)])
def test_an_unknown_item_is_refused(talk, item, status):
    async def run(client):
        return [(await dislike(client, item, withdrawn=withdrawn)).status_code for withdrawn in (False, True)]

    assert talk(run) == [status, status]


def test_a_journal_that_is_down_asks_to_try_again(talk):
    async def run(client):
        client.gateway.journal.close()
        return await dislike(client, "20"), client.gateway.dislikes.of("u1")

    answer, kept = talk(run)
    assert (answer.status_code, kept) == (503, ())
