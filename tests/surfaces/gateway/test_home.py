"""`POST /v1/home`: pages and degradation."""

import pytest

from surfaces.candidates import merge
from surfaces.filters.filter import Filter
from surfaces.filters.heard import DISCOVERY
from tests.support.soon import SECONDS
from tests.surfaces.gateway.conftest import NEW_RELEASES, items_of

PLACE = ("position", "item_id")


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
        client.gateway.journal.append([]).result(SECONDS)
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
        client.gateway.journal.append([]).result(SECONDS)
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


def test_a_merge_that_fails_is_answered_by_a_stored_page(world, post, monkeypatch):
    def broken(answers, catalogue, longest=None):
        return 1 / 0 if any(answer.model for answer in answers) else merge(answers, catalogue, longest)

    monkeypatch.setattr("surfaces.engine.filtered.merge", broken)
    page = post("/v1/home", user_id="u1").json()
    assert (page["level"], page["degraded"]) == (3, ["merge"])
    assert items_of(page)
