"""`POST /v1/sessions/{id}/next`: the queue, what changes it, and what answers when models are down."""

import asyncio
from datetime import timedelta

import pytest

from events.journal.joins import impression
from events.journal.records import PROMISED
from segue.errors import UnavailableError
from surfaces.filters.filter import Filter
from tests.support.soon import SECONDS
from tests.surfaces.catalogues import make_catalogue
from tests.surfaces.conftest import NOW
from tests.surfaces.gateway.conftest import GENRES, IDS

PATH = "/v1/sessions/s1/next"


def shown(answer):
    return [item["item_id"] for item in answer["items"] + answer["queue"]]


def event(number, item, action):
    ts = (NOW - timedelta(minutes=1) + timedelta(seconds=number)).isoformat()
    return {
        "event_id": f"e{number}", "request_id": "r1", "user_id": "u1", "session_id": "s1",
        "item_id": item, "action": action, "ts": ts,
    }  # fmt: skip


def conversation(talk, *steps):
    """The answers to some calls: a dict is a body of `next`, a tuple an action on an item or on a promised place."""

    async def run(client):
        answers, number = [], 0
        for step in steps:
            if isinstance(step, dict):
                response = await client.post(PATH, json={"user_id": "u1"} | step)
                assert response.status_code == 200, response.text
                answers.append(response.json())
                continue
            number += 1
            item, action = step
            item = shown(answers[-1])[item] if isinstance(item, int) else item
            await client.post("/v1/events", json={"events": [event(number, item, action)]})
        return answers

    return talk(run)


def test_the_next_items_and_the_queue(post):
    answer = post(PATH, user_id="u1", k=3).json()
    assert (answer["level"], answer["degraded"]) == (0, [])
    assert [len(answer["items"]), len(answer["queue"])] == [3, 7]
    assert [item["position"] for item in answer["items"] + answer["queue"]] == list(range(1, 11))
    assert len(set(shown(answer))) == 10


def test_what_is_promised_stays_until_an_action_changes_it(talk):
    first, again, played, liked, skipped = conversation(
        talk, {}, {}, (0, "play"), {}, (0, "like"), {}, (0, "skip"), {}
    )  # fmt: skip
    assert shown(again) == shown(first)
    assert shown(played)[:9] == shown(first)[1:]
    assert len(shown(played)) == 10
    assert shown(first)[0] not in shown(played)
    # The liked item was promised and leaves; one item stays.
    assert shown(liked)[0] == shown(played)[1]
    assert shown(liked) != shown(played)
    assert shown(liked)[0] not in shown(skipped)


def test_the_items_that_a_new_listener_picked_are_no_actions_of_the_session(talk, world):
    body = {"user_id": "new", "picks": ["20", "21"], "k": 40}

    async def run(client):
        first = await client.post(PATH, json=body)
        world.now += timedelta(seconds=10)
        again = await client.post(PATH, json=body)
        undo = await client.post(PATH, json=body | {"undo": True})
        return first.json(), again.json(), undo.status_code

    first, again, undo = talk(run)
    assert shown(again) == shown(first)
    assert "20" in shown(first)
    assert undo == 422


def test_what_a_new_listener_does_comes_after_the_picks(talk, world):
    picks = {"user_id": "u1", "picks": ["20", "21"]}
    conversation(talk, picks, ("5", "play"), picks)
    assert world.server.asked("sequence")["history_items"].tolist() == [["5", "21", "20"]]


def test_undo_restores_the_queue(talk):
    first, second, undone = conversation(talk, {}, (0, "skip"), {}, {"undo": True})
    assert shown(second) != shown(first)
    assert shown(undone) == shown(first)
    assert undone["changed"].startswith("As it was before your last action.")


def test_a_skip_lowers_its_genre_in_the_next_answer(talk):
    first, after = conversation(talk, {"k": 5}, ("3", "skip"), ("6", "skip"), {"k": 5})
    skipped = GENRES[0]  # of the items 3 and 6
    shares = [sum(item["genres"] == [skipped] for item in answer["items"]) for answer in (first, after)]
    assert shares[1] <= shares[0]
    assert f"Less {skipped}, because you skipped it." in after["changed"]


def test_the_sequence_model_is_asked_with_what_was_done_a_moment_ago(talk, world):
    conversation(talk, {}, ("5", "play"), {})
    assert world.server.asked("sequence")["history_items"].tolist() == [["5", "1"]]


def test_a_listener_who_dislikes_an_item_does_not_get_it(talk):
    first, after, other = conversation(talk, {}, {"dislikes": ["20"]}, {"k": 30})
    assert "20" not in shown(after) + shown(other)
    assert "Never again in this session: “Title 20”." in after["changed"]
    assert len(shown(first)) == 10


def test_chips_replace_each_other(talk):
    jazz, pop, none = conversation(
        talk,
        {"chips": [{"kind": "genre", "value": "jazz"}]},
        {"chips": [{"kind": "genre", "value": "pop"}]},
        {"chips": []},
    )
    assert [answer["changed"] for answer in (jazz, pop, none)] == [
        "More jazz, as you asked.",
        "More pop, as you asked.",
        "",
    ]
    share = [sum(item["genres"] == ["pop"] for item in answer["items"] + answer["queue"]) for answer in (none, pop)]
    assert share[0] < share[1]


def test_a_chip_that_a_newer_catalogue_does_not_know_adds_nothing(talk):
    async def run(client):
        body = {"user_id": "u1", "chips": [{"kind": "genre", "value": "jazz"}], "k": 5}
        await client.post(PATH, json=body)
        client.gateway.path.catalogue = make_catalogue({item: {"genres": ("rock",)} for item in IDS})
        return [await client.post(PATH, json=one) for one in ({"user_id": "u1", "k": 20}, body)]

    later, chosen = talk(run)
    assert (later.status_code, len(shown(later.json()))) == (200, 20)
    assert chosen.status_code == 422  # a wish of this very request is told


def test_a_repeated_request_changes_nothing_again(talk):
    first, again, undone = conversation(
        talk, {"dislikes": ["20"], "request_id": "r1"}, {"dislikes": ["20"], "request_id": "r1"}, {"undo": True}
    )
    assert first == again
    assert undone["changed"].startswith("As it was")


def test_an_undo_that_comes_twice_at_a_time_undoes_once(talk):
    async def run(client):
        await client.post(PATH, json={"user_id": "u1", "dislikes": ["20"]})
        await client.post(PATH, json={"user_id": "u1", "dislikes": ["21"]})
        body = {"user_id": "u1", "undo": True, "request_id": "r1"}
        answers = await asyncio.gather(*(client.post(PATH, json=body) for _ in range(2)))
        return [answer.json() for answer in answers], client.gateway.now_playing.sessions.get("s1", "u1").state.dislikes

    answers, dislikes = talk(run)
    assert answers[0] == answers[1]
    assert dislikes == ("20",)


@pytest.mark.parametrize(
    ("conditions", "items"),
    [
        ({"explicit": False}, {item for item in IDS if item != "7"}),
        ({"content_types": ["podcast"]}, {"39", "40"}),
    ],
)
def test_what_was_promised_passes_the_filters_of_the_present_request(talk, conditions, items):
    wide, narrow, again = conversation(talk, {"k": 40}, {"k": 40} | conditions, {"k": 40})
    assert {"7", "39", "40"} <= set(shown(wide))
    assert shown(narrow)
    assert set(shown(narrow)) <= items
    assert {"7", "39", "40"} <= set(shown(again))


@pytest.mark.parametrize("failing", [set(), {"sequence", "retrieval"}])
def test_fallbacks_pass_the_filters_too(talk, world, failing):
    async def run(client):
        if not failing:  # what was promised before the models went
            await client.post(PATH, json={"user_id": "u1", "k": 40})
        world.server.failing = {"sequence", "retrieval"}
        body = {"user_id": "u1", "k": 50, "explicit": False, "dislikes": ["40"]}
        return (await client.post(PATH, json=body)).json()

    answer = talk(run)
    assert answer["level"] in (2, 3)
    assert shown(answer)
    assert {"7", "40"}.isdisjoint(shown(answer))


@pytest.mark.parametrize("off", [frozenset(), frozenset({"heard"})])
def test_without_models_no_item_of_the_session_comes_again(talk, world, off):
    world.server.failing, world.off = {"server"}, off
    first, played, skipped = conversation(talk, {}, (0, "play"), {}, (0, "skip"), {})
    assert {answer["level"] for answer in (first, played, skipped)} == {3}
    assert shown(played) == shown(first)[1:]
    assert shown(skipped) == shown(first)[2:]
    assert shown(skipped)


@pytest.mark.parametrize("failing", [set(), {"server"}])
def test_a_filter_that_fails_costs_the_items_and_no_answer(talk, world, monkeypatch, failing):
    """What the filter may forbid is not shown, and the session takes the steps of the request once."""
    broken = (Filter("explicit", lambda context, found: 1 / 0),)

    async def run(client):
        await client.post(PATH, json={"user_id": "u1", "dislikes": ["20"]})
        await client.post(PATH, json={"user_id": "u1", "dislikes": ["21"]})
        world.server.failing = failing
        for module in ("engine.finalize", "now_playing.next_tracks"):
            monkeypatch.setattr(f"surfaces.{module}.FILTERS", broken)
        body = {"user_id": "u1", "undo": True, "request_id": "r1"}
        answers = [await client.post(PATH, json=body) for _ in range(2)]
        dislikes = client.gateway.now_playing.sessions.get("s1", "u1").state.dislikes
        return [answer.json() for answer in answers], dislikes

    (first, again), dislikes = talk(run)
    assert (first["level"], shown(first)) == (3, [])
    assert "filter explicit" in first["degraded"]
    assert first == again
    assert dislikes == ("20",)


def test_a_filter_can_be_switched_off(post, world):
    world.off = frozenset({"explicit"})
    assert "7" in shown(post(PATH, user_id="u1", k=40, explicit=False).json())


def test_filters_and_fallbacks_are_in_the_metrics(talk, world):
    async def run(client):
        world.server.failing = {"server"}
        await client.post(PATH, json={"user_id": "u1"})
        return (await client.get("/metrics")).text

    text = talk(run)
    for stage in ("merge", "filter heard", "filter explicit", "finalize"):
        assert f'segue_gateway_stages_total{{surface="now_playing",stage="{stage}",outcome="ok"}} 1' in text


@pytest.mark.parametrize("store_fails", [False, True])
def test_a_request_that_begins_anew_keeps_what_its_features_were(talk, world, store_fails):
    """The page of features that failed stays out of training by the name of that stage."""

    async def run(client):
        world.online.failing = store_fails
        world.server.versions = dict.fromkeys(world.server.versions, 2)  # a push: version 1 is gone
        answer = (await client.post(PATH, json={"user_id": "u1", "request_id": "r1"})).json()
        text = (await client.get("/metrics")).text
        client.gateway.journal.append([]).result(SECONDS)
        return answer, text, client.gateway.journal.exposures("r1")[0]

    answer, text, logged = talk(run)
    assert (answer["level"], answer["versions"]["sequence"]) == (0, 2)
    assert answer["degraded"] == (["features"] if store_fails else [])
    assert logged.degraded == tuple(answer["degraded"])
    assert bool(logged.served) == bool(logged.features) == (not store_fails)
    ended = "failed" if store_fails else "ok"
    assert f'segue_gateway_stages_total{{surface="now_playing",stage="features",outcome="{ended}"}} 1' in text


def exposures_of_two_requests(talk):
    """The exposures of a request, and of the next one after its first item was played."""

    async def run(client):
        first = (await client.post(PATH, json={"user_id": "u1", "request_id": "r1"})).json()
        await client.post("/v1/events", json={"events": [event(1, first["items"][0]["item_id"], "play")]})
        await client.post(PATH, json={"user_id": "u1", "request_id": "r2"})
        while client.gateway.journal.backlog():
            await asyncio.sleep(0.001)
        return [client.gateway.journal.exposures(request) for request in ("r1", "r2")]

    return talk(run)


def test_what_was_promised_before_is_marked_and_has_no_propensity_as_an_event(talk):
    before, after = exposures_of_two_requests(talk)
    assert [one.sources[0] == PROMISED for one in before] == [False] * 10
    assert [one.sources[0] == PROMISED for one in after] == [True] * 9 + [False]
    assert [impression(one)["propensity"] for one in after] == [None] * 9 + [after[-1].chance]


def test_the_exposures_have_the_propensities_of_their_draw(talk):
    before, after = exposures_of_two_requests(talk)
    assert all(0 < one.propensity <= 1 for one in before)
    assert {(one.surface, one.policy, one.session_id, one.fallback) for one in before + after} == {
        ("now_playing", "now-playing", "s1", 0)
    }
    assert [(one.item_id, one.propensity) for one in after[:9]] == [(one.item_id, one.propensity) for one in before[1:]]
    assert [one.position for one in after] == list(range(1, 11))


@pytest.mark.parametrize(
    ("failing", "level"),
    [({"sequence"}, 1), ({"retrieval"}, 1), ({"sequence", "retrieval"}, 3), ({"server"}, 3), ({"ranking"}, 0)],
)
def test_without_a_model_the_rest_answers(post, world, failing, level):
    world.server.failing = failing
    answer = post(PATH, user_id="u1")
    assert answer.status_code == 200
    assert answer.json()["level"] == level
    assert len(shown(answer.json())) >= 3


@pytest.mark.parametrize("model", ["sequence", "retrieval"])
def test_without_a_model_that_is_switched_off_an_answer_is_whole_and_promised(talk, world, model):
    world.off = frozenset({model})
    first, again = conversation(talk, {}, {})
    assert (first["level"], first["degraded"]) == (0, [])
    assert shown(again) == shown(first)
    assert model not in {asked for asked, _ in world.server.requests}


def test_chips_do_not_ask_a_model_that_is_switched_off(talk, world):
    world.off = frozenset({"sequence"})
    (answer,) = conversation(talk, {"chips": [{"kind": "genre", "value": "jazz"}]})
    assert (answer["level"], answer["degraded"]) == (0, [])
    assert "jazz" in {name for item in answer["items"] for name in item["genres"]}


def test_an_answer_needs_the_model_that_is_not_switched_off(post, world):
    world.off, world.server.failing = frozenset({"sequence"}), {"retrieval"}
    assert post(PATH, user_id="u1").json()["level"] == 3


def test_without_models_the_promised_items_stay(talk, world):
    async def run(client):
        first = (await client.post(PATH, json={"user_id": "u1", "k": 5})).json()
        world.server.failing = {"server"}
        return first, (await client.post(PATH, json={"user_id": "u1", "k": 30})).json()

    first, after = talk(run)
    assert (after["level"], shown(after)) == (2, shown(first))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"user_id": "nobody"}, 404, "'nobody'"),
        ({"k": 101}, 422, "k"),
        ({"chips": [{"kind": "genre", "value": "jaz"}]}, 422, "Did you mean jazz"),
        ({"chips": [{"kind": "colour", "value": "red"}]}, 422, "chips"),
        ({"undo": True}, 422, "An undo needs an action"),
        ({"picks": ["zzz"]}, 422, "zzz"),
        ({"loud": True}, 422, "loud"),
    ],
)
def test_a_wrong_request_is_refused(post, body, status, words):
    answer = post(PATH, **({"user_id": "u1"} | body))
    assert answer.status_code == status
    assert words in answer.json()["error"] + answer.json()["fix"]


def test_another_listeners_session_is_a_conflict(talk):
    async def run(client):
        await client.post(PATH, json={"user_id": "u1"})
        return await client.post(PATH, json={"user_id": "u2"})

    assert talk(run).status_code == 409


def test_an_online_store_that_takes_no_pushes_is_said_and_costs_no_answer(talk, world):
    def refuse(interactions):
        raise UnavailableError("the online store is down", "")

    extend, world.pushes.extend = world.pushes.extend, refuse

    async def down(client):
        return (await client.get("/readyz")).json()["down"]

    async def run(client):
        accepted = (await client.post("/v1/events", json={"events": [event(1, "5", "play")]})).json()["accepted"]
        while not await down(client):
            await asyncio.sleep(0.001)
        said = await down(client)
        answer = (await client.post(PATH, json={"user_id": "u1"})).json()
        world.pushes.extend = extend
        while await down(client):
            await asyncio.sleep(0.01)
        return accepted, said, answer["level"]

    assert talk(run) == (1, ["pushes to the online store"], 0)
    assert world.server.asked("sequence")["history_items"].tolist() == [["5", "1"]]
    assert [one.item_id for one in world.pushes.interactions] == ["5"]
