"""The player's read endpoints and pages, over a gateway in this process."""

import re
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segue.files import atomic_path
from surfaces.catalogue import EPOCH
from surfaces.gateway.views import day_of
from surfaces.player import profiles
from surfaces.player.routes import STATIC
from tests.support.soon import SECONDS
from tests.surfaces.conftest import NOW
from tests.surfaces.gateway.conftest import catalogue

REQUEST = {"user_id": "u1", "request_id": "r1"}


def test_the_pages_are_bound_to_the_gateway(get):
    page = get("/player/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert get("/").headers["location"] == "/player/"


def test_no_page_names_another_host_or_has_an_inline_script_or_style():
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        hosts = set(re.findall(r"https?://([\w.]+)", text)) - {"www.w3.org"}  # the name of SVG's namespace
        assert not hosts, path.name
        if path.suffix == ".html":
            assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=|<style|\bstyle=", text)
        assert "innerHTML" not in text


def test_the_pages_weigh_less_than_200_kb():
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < 200_000


def test_settings_say_what_may_be_chosen(get):
    settings = get("/v1/player/settings").json()
    assert settings["genres"] == ["jazz", "pop", "rock"]
    assert settings["types"] == ["music", "podcast"]
    assert "party" in settings["moods"]  # pop
    assert "angry" not in settings["moods"]  # metal and punk, which the catalogue lacks
    assert (settings["read_only"], settings["operator"]) == (False, False)


@pytest.mark.parametrize(
    ("text", "ids"),
    [("", ["u1", "u2", "U10", "o'brien", 'a"b', "x/y"]), ("u1", ["u1", "U10"]), ("/", ["x/y"]), ("%", []), (".", [])],
)
def test_listeners_are_found_by_a_part_of_their_id(listeners, text, ids):
    assert listeners.matching(text, 12) == ids


def test_a_forgotten_listener_is_not_in_the_list(listeners, tmp_path):
    assert listeners.matching("u1", 12) == ["u1", "U10"]
    with atomic_path(tmp_path / "users.parquet") as temporary:
        pq.write_table(pa.table({"user_id": ["u2", "U10"]}), temporary)
    assert listeners.matching("u1", 12) == ["U10"]


def test_a_listener_has_history_and_taste(get):
    profile = get("/v1/player/listener?user_id=u1").json()
    assert [(entry["item"]["title"], entry["action"]) for entry in profile["history"]] == [("Title 1", "play")]
    assert profile["taste"] == [{"name": "jazz", "share": 1.0}]  # item 1 is jazz
    assert profile["country"] == "SE"


@pytest.mark.parametrize("user_id", ["x%2Fy", "o'brien", "a%22b", "%3Cimg%20onerror%3D1%3E"])
def test_an_unknown_listener_of_any_name_has_an_empty_history(get, user_id):
    answer = get(f"/v1/player/listener?user_id={user_id}")
    assert (answer.status_code, answer.json()["history"]) == (200, [])


def test_a_store_that_does_not_answer_is_no_empty_history(get, world, monkeypatch):
    monkeypatch.setattr("surfaces.player.routes.PAUSE_SECONDS", 0)
    world.online.failing = True
    assert get("/v1/player/listener?user_id=u1").status_code == 503


def test_a_taste_leaves_skips_out():
    features = {"history_items": ["1", "2"], "history_actions": ["skip", "play"], "history_times": [20, 10]}
    taste, types = profiles.shares(features, catalogue())
    assert [share.name for share in taste] == ["pop"]  # item 2
    assert [share.name for share in types] == ["music"]


def test_picks_have_many_genres_and_creators():
    items = catalogue()
    picked = profiles.picks(items, "")
    creators = [items.creator_ids[row] for row in picked]
    assert len(set(creators)) == len(creators)
    for genre in items.genre_names:
        assert 1 <= sum(items.genres[row][0] == genre for row in picked) <= profiles.PER_GENRE
    assert not items.explicit[picked].any()


def test_why_says_how_an_item_was_found_and_what_in_the_history_has_to_do_with_it(visit):
    async def conversation(client):
        page = (await client.post("/v1/home", json=REQUEST)).json()
        shown = [item["item_id"] for shelf in page["shelves"] for item in shelf["items"]]
        asked = {**REQUEST, "item_id": next(item for item in shown if item in ("4", "5", "6"))}
        return (await client.get("/v1/player/why", params=asked)).json(), asked

    why, asked = visit(conversation)
    assert why["item"]["item_id"] == asked["item_id"]
    assert why["sentences"]
    assert "Listeners of “Title 1”, which you played, play it too." in why["evidence"]
    play = next(score for score in why["scores"] if score["name"] == "Will be played")
    assert play["value"] == play["probability"]


@pytest.mark.parametrize(
    ("changes", "status"), [({"item_id": "nothing"}, 404), ({"item_id": "1", "user_id": "u2"}, 409), ({}, 422)]
)
def test_why_refuses_what_was_not_shown_to_this_listener(visit, changes, status):
    async def conversation(client):
        await client.post("/v1/home", json=REQUEST)
        return await client.get("/v1/player/why", params=REQUEST | changes)

    assert visit(conversation).status_code == status


def test_why_refuses_another_listener_also_after_a_restart(visit):
    async def conversation(client):
        page = (await client.post("/v1/home", json=REQUEST)).json()
        asked = REQUEST | {"item_id": page["shelves"][0]["items"][0]["item_id"]}
        client.gateway.journal.append([]).result(SECONDS)
        client.gateway.pages.forget(lambda user_id: True)
        users = ("u1", "u2")
        return [await client.get("/v1/player/why", params=asked | {"user_id": user}) for user in users]

    assert [answer.status_code for answer in visit(conversation)] == [200, 409]


def test_evidence_after_the_decision_is_left_out(visit, world):
    async def conversation(client):
        page = (await client.post("/v1/home", json=REQUEST)).json()
        item = page["shelves"][0]["items"][0]["item_id"]
        world.now = NOW + timedelta(days=1)  # the store answers an entry some hours before the request
        return (await client.get("/v1/player/why", params=REQUEST | {"item_id": item})).json()

    assert visit(conversation)["evidence"] == []


def test_the_newest_release_is_the_last_until_now(get):
    items = catalogue()
    days = [int(day) for day in items.release_days[:-1]]
    newest = profiles.newest_release(items, NOW)
    assert newest == (EPOCH + timedelta(days=int(max(day for day in days if day <= day_of(NOW))))).isoformat()
    assert profiles.newest_release(items, NOW - timedelta(days=40_000)) is None
    assert get("/v1/player/settings").json()["newest_release"] == newest
