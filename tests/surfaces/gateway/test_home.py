"""`POST /v1/home`: pages, degradation, and what the journal keeps of them."""

import asyncio
import math
import threading

import orjson
import pytest

from segue.errors import InputError, UnavailableError
from surfaces.candidates import merge
from surfaces.filters.filter import Filter
from surfaces.filters.heard import DISCOVERY
from surfaces.gateway import exposures as gateway_exposures
from surfaces.hydrate import fingerprint
from tests.surfaces.conftest import NOW
from tests.surfaces.gateway.conftest import NEW_RELEASES

PLACE = ("position", "item_id")


def items_of(page):
    return [item for shelf in page["shelves"] for item in shelf["items"]]


def test_a_page(post):
    page = post("/v1/home", user_id="u1").json()
    items = items_of(page)
    assert (page["level"], page["degraded"]) == (0, [])
    assert page["versions"] == {"retrieval": 1, "ranking": 1, "sequence": 1}
    assert [item["position"] for item in items] == list(range(1, len(items) + 1))
    assert len({item["item_id"] for item in items}) == len(items)  # no item twice on a page
    assert len(page["shelves"]) >= 3
    assert all(shelf["title"] and shelf["reason"] for shelf in page["shelves"])
    first = items[0]
    assert first["title"] == f"Title {first['item_id']}"
    assert first["new"] == (int(first["item_id"]) < 14)


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
            assert answers.wait(10)

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
        return page, (await client.get("/metrics")).text

    def broken(*_):
        raise OSError("no space left on device")

    page, metrics = talk(conversation)
    assert page.status_code == 200
    assert 'effect="exposures",outcome="failed"} 1' in metrics
    assert f"the exposures of request {page.json()['request_id']} are lost" in caplog.text


def test_the_journal_has_what_the_online_store_gave_and_no_defaults(world, talk, monkeypatch):
    async def served(client, **body):
        page = (await client.post("/v1/home", json={"user_id": "u1", **body})).json()
        client.gateway.journal.append([]).result(5)
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
        client.gateway.journal.append([]).result(5)  # what was handed over before is durable
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


@pytest.mark.parametrize(
    ("failing", "level", "degraded"),
    [
        (("ranking",), 1, ["ranking"]),
        (("retrieval",), 0, ["retrieval"]),
        (("retrieval", "sequence"), 3, ["retrieval", "sequence"]),
        (("server",), 3, ["retrieval"]),
    ],
)
def test_a_listener_without_an_earlier_page(world, post, failing, level, degraded):
    world.server.failing = set(failing)
    answer = post("/v1/home", user_id="u1")
    assert answer.status_code == 200
    page = answer.json()
    assert (page["level"], sorted(page["degraded"])) == (level, degraded)
    assert items_of(page)
    if level == 3:  # popular in the listener's country, without 1, which was heard
        assert [item["item_id"] for item in items_of(page)] == ["7", "2", "3", "5"]


def test_a_listener_with_an_earlier_page_sees_it_again(world, talk):
    async def conversation(client):
        whole = (await client.post("/v1/home", json={"user_id": "u1"})).json()
        world.server.failing = {"server"}
        kept = (await client.post("/v1/home", json={"user_id": "u1"})).json()
        other = (await client.post("/v1/home", json={"user_id": "u2"})).json()
        filtered = (await client.post("/v1/home", json={"user_id": "u1", "content_types": ["podcast"]})).json()
        client.gateway.journal.append([]).result(5)
        logged = client.gateway.journal.exposures(kept["request_id"])
        world.server.failing = set()
        back = (await client.post("/v1/home", json={"user_id": "u1"})).json()
        return whole, kept, other, filtered, logged, back

    whole, kept, other, filtered, logged, back = talk(conversation)
    assert (whole["level"], kept["level"], other["level"], back["level"]) == (0, 2, 3, 0)
    assert [item["item_id"] for item in items_of(kept)] == [item["item_id"] for item in items_of(whole)]
    assert {item["content_type"] for item in items_of(filtered)} <= {"podcast"}
    assert {(one.policy, one.chance, one.fallback) for one in logged} == {("fallback-2", 1.0, 2)}


def test_a_stored_page_has_the_size_of_the_request_and_stays_as_it_was(world, talk):
    async def conversation(client):
        whole = (await client.post("/v1/home", json={"user_id": "u1"})).json()
        world.server.failing = {"server"}
        small = (await client.post("/v1/home", json={"user_id": "u1", "k_rows": 2})).json()
        again = (await client.post("/v1/home", json={"user_id": "u1"})).json()
        return whole, small, again

    whole, small, again = talk(conversation)
    assert (small["level"], again["level"]) == (2, 2)
    places = [[item["item_id"] for item in shelf["items"]] for shelf in whole["shelves"]]
    assert [[item["item_id"] for item in shelf["items"]] for shelf in small["shelves"]] == places[:2]
    assert [[item["item_id"] for item in shelf["items"]] for shelf in again["shelves"]] == places


@pytest.mark.parametrize("k", [2, 30])
def test_new_releases_without_models_are_as_many_as_were_asked_for(world, talk, k):
    async def conversation(client):
        async def ask(user, k):
            return (await client.get(NEW_RELEASES, params={"user_id": user, "k": k})).json()

        whole = await ask("u1", 10)
        world.server.failing = {"server"}
        return whole, await ask("u1", k), await ask("u2", k)

    whole, stored, newest = talk(conversation)
    assert (whole["level"], stored["level"], newest["level"]) == (0, 2, 3)
    assert [item["item_id"] for item in stored["items"]] == [item["item_id"] for item in whole["items"]][:k]
    assert [item["item_id"] for item in newest["items"]] == [str(number) for number in range(1, k + 1)]
    assert [item["position"] for item in newest["items"]] == list(range(1, k + 1))


def test_what_was_heard_is_not_on_a_stored_page_for_discovery(world, talk):
    """The same rule as for a whole page: only what sources of discovery alone had found goes."""

    async def conversation(client):
        world.server.failing = {"retrieval"}  # which finds every item that the others find
        await client.post("/v1/home", json={"user_id": "u1", "request_id": "r1"})
        client.gateway.journal.append([]).result(5)
        sources = {one.item_id: set(one.sources) for one in client.gateway.journal.exposures("r1")}
        world.server.failing, world.online.heard = {"server"}, ["1", *sources]
        return sources, items_of((await client.post("/v1/home", json={"user_id": "u1"})).json())

    sources, kept = talk(conversation)
    discovered = {item for item, names in sources.items() if names <= DISCOVERY}
    assert discovered
    assert {item["item_id"] for item in kept} == sources.keys() - discovered


def test_a_filter_that_fails_leaves_nothing_of_a_stored_page(world, talk, monkeypatch):
    """The same filter fails for the page that stands in: what it may forbid is not shown."""

    async def conversation(client):
        await client.post("/v1/home", json={"user_id": "u1"})
        world.server.failing = {"server"}
        monkeypatch.setattr("surfaces.engine.finalize.FILTERS", (Filter("market", lambda context, found: 1 / 0),))
        return (await client.post("/v1/home", json={"user_id": "u1"})).json()

    page = talk(conversation)
    assert (page["level"], page["shelves"]) == (3, [])
    assert page["degraded"] == ["retrieval", "sequence", "filter market"]


def test_a_filter_that_is_switched_off_is_so_for_a_stored_page(world, post):
    world.server.failing, world.off = {"server"}, frozenset({"explicit"})
    page = post("/v1/home", user_id="u1", explicit=False).json()
    assert (page["level"], "7" in [item["item_id"] for item in items_of(page)]) == (3, True)


def test_features_that_are_down_cost_the_features_only(world, post):
    world.online.failing = True
    page = post("/v1/home", user_id="nobody").json()  # who is known cannot be told
    assert (page["level"], page["degraded"]) == (0, ["features"])
    assert items_of(page)


def test_the_journal_that_is_down_costs_no_page(talk, monkeypatch):
    async def conversation(client):
        def full(exposures):
            raise OSError("no space left on device")

        monkeypatch.setattr(client.gateway.journal.keeping, "write", full)
        answer = await client.post("/v1/home", json={"user_id": "u1"})
        client.gateway.journal.close()
        return answer, await client.post("/v1/home", json={"user_id": "u1"})

    assert [answer.status_code for answer in talk(conversation)] == [200, 200]


def test_a_new_listener_names_picks(world, post):
    page = post("/v1/home", user_id="newcomer", picks=["3", "5"])
    assert page.status_code == 200
    assert world.server.asked("retrieval")["history_items"][0].tolist() == ["5", "3"]


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        ({"content_types": ["podcast"]}, lambda item: item["content_type"] == "podcast"),
        ({"explicit": False}, lambda item: item["item_id"] != "7"),
        ({"k_rows": 1}, lambda item: item["position"] <= 10),
        ({"explore": 0.0}, lambda item: not item["explored"]),
    ],
)
def test_what_a_request_names_holds(post, body, holds):
    page = post("/v1/home", user_id="u1", **body).json()
    assert page["level"] == 0
    assert all(holds(item) for item in items_of(page))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "user_id"),
        ({"user_id": ""}, 422, "user_id"),
        ({"user_id": 5}, 422, "user_id"),
        ({"user_id": "nobody"}, 404, "nobody"),
        ({"user_id": "u1", "market": "XX"}, 422, "no market 'XX'"),
        ({"user_id": "u1", "content_types": ["musik"]}, 422, "no content type 'musik'"),
        ({"user_id": "newcomer", "picks": ["zzz"]}, 422, "'zzz'"),
        ({"user_id": "u1", "k_rows": 101}, 422, "k_rows"),
        ({"user_id": "u1", "explore": 0.9}, 422, "explore"),
        ({"user_id": "u1", "k": 5}, 422, "k:"),  # a field that there is not
        ({"user_id": "u1", "picks": ["1"] * 101}, 422, "picks"),
    ],
)
def test_a_wrong_request_names_its_fault(post, body, status, words):
    answer = post("/v1/home", **body)
    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert answer.json()["fix"]


def test_another_listeners_request_and_session_are_refused(talk):
    async def conversation(client):
        await client.post("/v1/home", json={"user_id": "u1", "request_id": "r1"})
        await client.post("/v1/sessions/s1/next", json={"user_id": "u1"})
        return [
            await client.post("/v1/home", json={"user_id": "u2", "request_id": "r1"}),
            await client.post("/v1/home", json={"user_id": "u2", "session_id": "s1"}),
            await client.post("/v1/sessions/s1/next", json={"user_id": "u1", "request_id": "r1"}),
        ]

    assert [answer.status_code for answer in talk(conversation)] == [409, 409, 409]


def test_what_is_switched_off_is_not_on_the_page(world, post):
    world.off = frozenset({"sequence", "popular", "jump_back_in"})
    page = post("/v1/home", user_id="u1").json()
    assert (page["level"], page["degraded"]) == (0, [])
    assert not {"next_up", "popular", "jump_back_in"} & {shelf["id"] for shelf in page["shelves"]}


def test_every_stage_has_its_time_in_the_metrics(talk):
    async def conversation(client):
        await client.post("/v1/home", json={"user_id": "u1"})
        return (await client.get("/metrics")).text

    text = talk(conversation)
    for stage in ("features", "retrieval", "merge", "filter market", "ranking", "compose", "finalize", "journal"):
        assert f'segue_gateway_stage_seconds_count{{surface="home",stage="{stage}"}} 1' in text


def test_the_journal_can_be_switched_off(world, talk):
    world.off = frozenset({"journal"})

    async def conversation(client):
        page = (await client.post("/v1/home", json={"user_id": "u1"})).json()
        client.gateway.journal.append([]).result(5)
        return client.gateway.journal.exposures(page["request_id"])

    assert talk(conversation) == []


def test_a_merge_that_fails_is_answered_by_a_stored_page(world, post, monkeypatch):
    def broken(answers, catalogue, longest=None):
        return 1 / 0 if any(answer.model for answer in answers) else merge(answers, catalogue, longest)

    monkeypatch.setattr("surfaces.engine.filtered.merge", broken)
    page = post("/v1/home", user_id="u1").json()
    assert (page["level"], page["degraded"]) == (3, ["merge"])
    assert items_of(page)
