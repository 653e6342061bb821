"""The other endpoints, the errors, and the document of the API."""

import asyncio
from pathlib import Path

import pytest

from segue.errors import UnavailableError
from surfaces.engine.page import ShownItem, one_list
from surfaces.gateway.openapi import document
from surfaces.gateway.pages import ConflictError, Decision, Pages
from tests.support.soon import SECONDS
from tests.surfaces.conftest import NOW

OPENAPI = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


@pytest.fixture
def get(talk):
    """One call in a gateway of its own."""

    def call(path, **query):
        async def conversation(client):
            return await client.get(path, params=query)

        return talk(conversation)

    return call


def test_the_openapi_document_is_kept():
    assert OPENAPI.read_text(encoding="utf-8") == document(), "python -m surfaces.gateway.openapi > docs/openapi.json"


def test_an_item(get):
    assert get("/v1/items/7").json() == {
        "item_id": "7",
        "title": "Title 7",
        "creator": "Creator 7",
        "content_type": "music",
        "genres": ["jazz"],
        "duration_ms": 7000,
        "release_date": "2027-01-08",
    }
    assert get("/v1/items/zzz").status_code == 404


@pytest.mark.parametrize("value", ["undefined", "null", "None", "a\u200bb", "a\u3000b", "\u00ad"])
def test_an_id_that_the_journal_refuses_is_refused_before_a_page_is_shown(talk, value):
    async def conversation(client):
        return [
            await client.post("/v1/home", json={"user_id": value, "picks": []}),
            await client.post("/v1/home", json={"user_id": "u1", "session_id": value}),
            await client.post("/v1/home", json={"user_id": "u1", "request_id": value}),
            await client.post(f"/v1/sessions/{value}/next", json={"user_id": "u1"}),
            await client.get("/v1/new-releases", params={"user_id": value}),
        ]

    answers = talk(conversation)
    assert [answer.status_code for answer in answers] == [422] * 5
    assert answers[2].json()["error"].startswith("request_id: Value error, an id is printable text")


def test_why_an_item_was_shown(talk):
    async def conversation(client):
        page = (await client.post("/v1/home", json={"user_id": "u1"})).json()
        item = page["shelves"][0]["items"][0]["item_id"]
        path = f"/v1/why/{page['request_id']}/{item}"
        from_memory = (await client.get(path)).json()
        client.gateway.journal.append([]).result(SECONDS)
        client.gateway.pages = Pages()  # as after a restart
        from_journal = (await client.get(path)).json()
        others = [await client.get(f"/v1/why/{page['request_id']}/zzz"), await client.get(f"/v1/why/zzz/{item}")]
        return page, from_memory, from_journal, [answer.status_code for answer in others]

    page, from_memory, from_journal, others = talk(conversation)
    assert from_memory == from_journal
    assert (from_memory["position"], from_memory["shelf"]) == (1, page["shelves"][0]["id"])
    assert from_memory["reasons"]
    assert not any(name.startswith("layout/") for name in from_memory["scores"])
    assert others == [404, 404]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("path", "body"), [("/v1/sessions/s2/next", {"dislikes": ["20"]}), ("/v1/home", {"session_id": "s2"})]
)
def test_the_request_id_of_another_session_is_a_conflict(talk, path, body, restarted):
    async def conversation(client):
        named = {"user_id": "u1", "request_id": "r1"}
        first = body | {"session_id": "s1"} if path == "/v1/home" else {}
        shown = await client.post(path.replace("s2", "s1"), json=named | first)
        if restarted:
            client.gateway.journal.append([]).result(SECONDS)
            client.gateway.pages.forget(lambda user_id: True)
        again = await client.post(path.replace("s2", "s1"), json=named | first)
        other = await client.post(path, json=named | body)
        return shown, again, other

    shown, again, other = talk(conversation)
    assert shown.status_code == 200
    assert shown.json() == again.json()
    assert (other.status_code, "'r1'" in other.json()["error"]) == (409, True)


def test_new_releases(world, talk):
    async def conversation(client):
        whole = (await client.get("/v1/new-releases", params={"user_id": "u1", "k": 3})).json()
        world.server.failing = {"server"}
        without = (await client.get("/v1/new-releases", params={"user_id": "u2", "k": 3})).json()
        return whole, without

    whole, without = talk(conversation)
    assert [item["item_id"] for item in whole["items"]] == ["10", "9", "8"]  # by reward, of those of two weeks
    assert (whole["level"], without["level"]) == (0, 3)
    assert [item["item_id"] for item in without["items"]][:3] == ["1", "2", "3"]  # the newest


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"user_id": "u1", "k": 100}, 200),
        ({"user_id": "u1", "k": 101}, 422),
        ({"user_id": "u1", "k": 0}, 422),
        ({"user_id": "u1", "k": "many"}, 422),
        ({"user_id": "u1", "market": "XX"}, 422),
        ({"user_id": "nobody"}, 404),
        ({}, 422),
    ],
)
def test_a_query_names_its_fault(get, query, status):
    answer = get("/v1/new-releases", **query)
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]


def test_next_items_of_a_session(talk):
    async def conversation(client):
        first = (await client.post("/v1/sessions/s1/next", json={"user_id": "u1", "k": 3})).json()
        again = (await client.post("/v1/sessions/s1/next", json={"user_id": "u1", "k": 3})).json()
        skip = {
            "event_id": "e1",
            "request_id": first["request_id"],
            "user_id": "u1",
            "session_id": "s1",
            "item_id": first["items"][0]["item_id"],
            "action": "skip",
            "ts": NOW.isoformat(),
        }
        await client.post("/v1/events", json={"events": [skip]})
        after = (await client.post("/v1/sessions/s1/next", json={"user_id": "u1", "k": 3})).json()
        client.gateway.journal.append([]).result(SECONDS)
        return first, again, after, client.gateway.journal.exposures(after["request_id"])

    first, again, after, logged = talk(conversation)
    assert len(first["items"]) == 3
    assert (again["items"], again["queue"]) == (first["items"], first["queue"])  # what is promised stays
    assert first["items"][0]["item_id"] not in [item["item_id"] for item in after["items"] + after["queue"]]
    assert {one.surface for one in logged} == {"now_playing"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user_id": "nobody"}, 404),
        ({"user_id": "u1", "k": 101}, 422),
        ({"user_id": "u1", "undo": True}, 422),
        ({"user_id": "u1", "chips": [{"kind": "genre", "value": "polka"}]}, 422),
        ({"user_id": "u1", "chips": [{"kind": "colour"}]}, 422),
        ({"user_id": "u1", "chips": [{"kind": "genre", "value": "jazz"}]}, 200),
    ],
)
def test_a_request_for_the_next_items_names_its_fault(post, body, status):
    assert post("/v1/sessions/s1/next", **body).status_code == status


def test_next_items_without_models(world, post):
    world.server.failing = {"server"}
    answer = post("/v1/sessions/s1/next", user_id="u1", k=3)
    assert answer.status_code == 200
    assert answer.json()["level"] == 3
    assert len(answer.json()["items"]) == 3


def test_probes_and_metrics(talk):
    async def conversation(client):
        await client.post("/v1/home", json={"user_id": "u1"})
        up = (await client.get("/readyz")).json()
        return await client.get("/healthz"), up, await client.get("/metrics")

    alive, up, metrics = talk(conversation)
    assert alive.text == "ok"
    assert up == {"ready": True, "models": {"retrieval": 1, "ranking": 1, "sequence": 1}, "down": []}
    assert 'segue_gateway_requests_total{endpoint="/v1/home",status="200"} 1' in metrics.text
    assert 'segue_gateway_answers_total{surface="home",level="0"} 1' in metrics.text
    assert 'segue_gateway_stages_total{surface="home",stage="ranking",outcome="ok"} 1' in metrics.text
    for name in ("journal_backlog", "online_backlog", "pushes_total", "dropped_pushes_total"):
        assert f"\nsegue_gateway_{name} " in metrics.text


def test_each_dependency_that_does_not_answer_is_named(talk, world, monkeypatch):
    monkeypatch.setattr("events.journal.journal.PAUSES", ())

    async def conversation(client):
        def down(records):
            raise UnavailableError("the journal is down", "wait")

        world.online.failing = True
        monkeypatch.setattr(client.gateway.journal.keeping, "write", down)
        await client.post("/v1/home", json={"user_id": "u1"})
        while client.gateway.journal.backlog():
            await asyncio.sleep(0.001)
        return (await client.get("/readyz")).json()["down"]

    assert talk(conversation) == ["reads of the online store", "journal"]


def test_a_gateway_without_models_is_ready_and_says_what_is_down(world, get):
    world.server.failing = {"server"}
    assert get("/readyz").json() == {"ready": True, "models": {}, "down": ["models"]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/v1/home", 405), ("DELETE", "/v1/items/1", 405)],
)
def test_paths_and_methods_that_there_are_not(talk, method, path, status):
    async def conversation(client):
        return await client.request(method, path)

    answer = talk(conversation)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "fix"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'"text"', b"null"])
def test_a_body_that_is_no_object(talk, content):
    async def conversation(client):
        return await client.post("/v1/home", content=content, headers={"content-type": "application/json"})

    answer = talk(conversation)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]


def decision(number: int, level: int = 0) -> Decision:
    page = one_list([ShownItem("1", 1, 1, 1)], "p")
    return Decision(
        f"r{number}", f"u{number}", None, NOW, "home", "home", page.degraded_to(level) if level else page, {}
    )


def test_a_fault_of_the_gateway_is_an_error_with_a_fix_too(talk, monkeypatch):
    async def conversation(client):
        def fail(item_id):
            raise ZeroDivisionError("a secret of the inside")

        monkeypatch.setattr(client.gateway, "item", fail)
        return await client.get("/v1/items/1")

    answer = talk(conversation)
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "fix"}
    assert "secret" not in answer.text


def test_pages_in_memory_are_bounded():
    pages = Pages(most=2)
    for number in range(3):
        pages.put(decision(number))
    assert pages.of_request("r0", "u0") is None
    assert pages.last("u0", "home") is None
    assert pages.of_request("r2", "u2").decision == decision(2)
    with pytest.raises(ConflictError):
        pages.of_request("r2", "u1")


def test_a_stored_page_is_none_to_keep():
    pages = Pages()
    pages.put(decision(1))
    kept = pages.last("u1", "home")
    pages.put(decision(1, level=2))
    assert pages.last("u1", "home") == kept
