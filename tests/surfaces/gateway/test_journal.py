"""What the journal keeps of pages, and what a page costs when the journal fails."""

import asyncio
import math
import threading

import orjson
import pytest

from segue.errors import InputError, UnavailableError
from surfaces.engine.page import ShownItem, ShownPage, ShownShelf
from surfaces.gateway import exposures as gateway_exposures
from surfaces.gateway.exposures import exposures, remembered
from surfaces.gateway.pages import Decision
from surfaces.hydrate import fingerprint
from tests.support.soon import SECONDS
from tests.surfaces.conftest import NOW
from tests.surfaces.gateway.conftest import items_of


def test_the_same_request_id_has_the_same_page(post, talk, world):
    apart = [post("/v1/home", user_id="u1", request_id="r1").json()]
    world.server.failing = {"server"}  # after a restart the journal has the page, with its words and what was explored
    apart.append(post("/v1/home", user_id="u1", request_id="r1").json())
    assert apart[0] == apart[1]
    assert post("/v1/home", user_id="u2", request_id="r1").status_code == 409
    assert post("/v1/sessions/s1/next", user_id="u1", request_id="r1").status_code == 409
    world.server.failing = set()

    async def twice(client):
        first = await client.post("/v1/home", json={"user_id": "u1", "request_id": "r2"})
        calls = len(client.models._client.requests)
        again = await client.post("/v1/home", json={"user_id": "u1", "request_id": "r2"})
        return first.json(), again.json(), len(client.models._client.requests) - calls

    first, again, calls = talk(twice)
    assert first == again
    assert calls == 0
    assert items_of(first) != items_of(apart[0])  # another id draws another page


@pytest.mark.parametrize("kind", ["home", "new_releases"])
def test_what_a_page_was_asked_for_is_known_after_a_restart(kind):
    title = "New releases" if kind == "home" else ""  # both may begin with such a shelf
    shelf = ShownShelf("new_releases", title, "", (ShownItem("1", 1, 1, 1),))
    decision = Decision("r1", "u1", None, NOW, kind, "home", ShownPage((shelf,), "reward", "1"), {})
    assert remembered(exposures(decision)) == decision


def test_a_request_id_that_comes_twice_at_a_time_is_decided_once(talk, world):
    async def conversation(client):
        body = {"user_id": "u1", "request_id": "r1"}
        first = client.post("/v1/home", json=body)
        others = [client.post("/v1/home", json=body), client.post("/v1/home", json=body | {"user_id": "u2"})]
        before = len(client.models._client.requests)
        answers = await asyncio.gather(first, *others)
        asked = len(client.models._client.requests) - before
        await client.post("/v1/home", json={"user_id": "u1"})
        return answers, asked, len(client.models._client.requests) - before - asked

    (first, again, other), asked, once = talk(conversation)
    assert first.json() == again.json()
    assert other.status_code == 409
    assert asked == once


def test_a_journal_that_does_not_answer_keeps_no_page_from_being_decided(talk, monkeypatch):
    async def conversation(client):
        def down(request_id):
            raise UnavailableError("the journal is down", "wait")

        monkeypatch.setattr(client.gateway.journal.keeping, "page", down)
        return await client.post("/v1/home", json={"user_id": "u1", "request_id": "r1"})

    assert talk(conversation).json()["level"] == 0


def test_a_journal_that_hangs_holds_up_one_named_request_for_a_moment(talk, monkeypatch):
    async def conversation(client):
        asked, answers = threading.Event(), threading.Event()

        def hang(request_id):
            asked.set()
            assert answers.wait(SECONDS)

        monkeypatch.setattr(client.gateway.journal.keeping, "page", hang)
        try:
            first = await client.post("/v1/home", json={"user_id": "u1", "request_id": "r1"})
            asked.clear()
            others = [await client.post("/v1/home", json={"user_id": "u1", "request_id": f"s{n}"}) for n in range(9)]
            why = await client.get("/v1/why/earlier/1")
        finally:
            answers.set()
        return [first, *others], asked.is_set(), why

    pages, asked_again, why = talk(conversation)
    assert [(page.status_code, page.json()["level"]) for page in pages] == [(200, 0)] * 10
    assert not asked_again  # while the journal holds up the first, no other waits for it
    assert (why.status_code, why.headers["retry-after"]) == (503, "1")


def test_a_damaged_journal_costs_no_named_page_and_is_no_fault_of_who_asks_why(talk, monkeypatch):
    async def conversation(client):
        def damaged(request_id):
            raise InputError("journal.db must be a journal: the image is malformed.", "Move the file away.")

        monkeypatch.setattr(client.gateway.journal.keeping, "page", damaged)
        page = await client.post("/v1/home", json={"user_id": "u1", "request_id": "r1"})
        return page, await client.get("/v1/why/earlier/1")

    page, why = talk(conversation)
    assert (page.status_code, page.json()["level"]) == (200, 0)
    assert why.status_code == 503
    assert "malformed" in why.json()["error"]


def test_a_write_to_the_journal_that_fails_costs_no_page_and_is_counted(talk, monkeypatch, caplog):
    """If this fails, exposures are lost and nobody is told."""

    async def conversation(client):
        monkeypatch.setattr(client.gateway.journal.keeping, "write", broken, raising=True)
        page = await client.post("/v1/home", json={"user_id": "u1"})
        client.gateway.journal.close()  # what waits is written, or fails
        metrics = (await client.get("/metrics")).text
        return page, metrics, await client.post("/v1/home", json={"user_id": "u1"})

    def broken(*_):
        raise OSError("no space left on device")

    page, metrics, later = talk(conversation)
    assert (page.status_code, later.status_code) == (200, 200)
    assert 'effect="exposures",outcome="failed"} 1' in metrics
    assert f"the exposures of request {page.json()['request_id']} are lost" in caplog.text


def test_the_journal_has_what_the_online_store_gave_and_no_defaults(world, talk, monkeypatch):
    async def served(client, **body):
        page = (await client.post("/v1/home", json={"user_id": "u1", **body})).json()
        client.gateway.journal.append([]).result(SECONDS)
        (kept,) = {(one.served, one.features) for one in client.gateway.journal.exposures(page["request_id"])}
        return kept

    async def conversation(client):
        read, picked = await served(client), await served(client, picks=["1"])
        monkeypatch.setattr(gateway_exposures, "MOST_FEATURES", 20)
        long = await served(client)
        world.online.failing = True
        return read, picked, long, await served(client)

    read, picked, long, failing = talk(conversation)
    assert orjson.loads(read[0]) == {
        "country": "SE",
        "history_items": ["1"],
        "history_actions": ["play"],
        "history_times": [int(NOW.timestamp()) - 9999],
    }
    assert read[1] == fingerprint(read[0])
    assert long == ("", read[1])
    assert picked == failing == ("", "")


def test_exposures_are_what_was_shown(talk):
    async def conversation(client):
        page = (await client.post("/v1/home", json={"user_id": "u1", "session_id": "s1"})).json()
        client.gateway.journal.append([]).result(SECONDS)  # what was handed over before is durable
        return page, client.gateway.journal.exposures(page["request_id"])

    page, logged = talk(conversation)
    assert [(one.position, one.item_id) for one in logged] == [
        (item["position"], item["item_id"]) for item in items_of(page)
    ]
    assert {(one.user_id, one.session_id, one.surface, one.fallback) for one in logged} == {("u1", "s1", "home", 0)}
    assert [one.shelf for one in logged] == [shelf["id"] for shelf in page["shelves"] for _ in shelf["items"]]
    assert {one.policy for one in logged} == {"plackett-luce"}
    assert len({one.layout_propensity for one in logged}) == 1
    assert all(0 < one.chance <= 1 for one in logged)
    assert all(one.model_versions == page["versions"] for one in logged)
    assert "layout/most" in logged[0].scores  # by which the layout policy learns
    assert math.isclose(logged[0].scores["reward"], float(logged[0].item_id))


def test_the_journal_can_be_switched_off(world, talk):
    world.off = frozenset({"journal"})

    async def conversation(client):
        page = (await client.post("/v1/home", json={"user_id": "u1"})).json()
        client.gateway.journal.append([]).result(SECONDS)
        return client.gateway.journal.exposures(page["request_id"])

    assert talk(conversation) == []
