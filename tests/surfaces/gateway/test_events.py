"""`POST /v1/events`: durable once answered, each event id once, and refused as a whole."""

import threading
from datetime import timedelta
from typing import get_args

import pytest

from events.schema import ACTIONS
from segue.errors import UnavailableError
from surfaces.gateway import api, feedback
from tests.support.soon import SECONDS
from tests.surfaces.conftest import NOW


def event(number=1, **changes):
    return {
        "event_id": f"e{number}",
        "request_id": "r1",
        "user_id": "u1",
        "item_id": str(number),
        "action": "play",
        "ts": (NOW - timedelta(minutes=1)).isoformat(),
    } | changes


def test_events_count_once(talk, world):
    async def conversation(client):
        first = await client.post("/v1/events", json={"events": [event(1), event(2)]})
        again = await client.post("/v1/events", json={"events": [event(2), event(3), event(3)]})
        return first.json(), again.json()

    assert talk(conversation) == ({"accepted": 2, "duplicates": 0}, {"accepted": 1, "duplicates": 2})
    assert [one.item_id for one in world.pushes.interactions] == ["1", "2", "3"]


def test_events_of_a_batch_are_taken_in_the_order_of_their_times(talk, world):
    times = [(NOW - timedelta(minutes=minutes)).isoformat() for minutes in (1, 5, 3)]

    async def conversation(client):
        body = {"events": [event(n, ts=ts, session_id="s1") for n, ts in enumerate(times, 1)]}
        await client.post("/v1/events", json=body)
        return [action.item_id for action in client.gateway.now_playing.sessions.get("s1", "u1").state.actions]

    assert talk(conversation) == ["2", "3", "1"]
    assert [one.item_id for one in world.pushes.interactions] == ["2", "3", "1"]


def test_events_of_two_batches_may_come_in_the_wrong_order(talk, world):
    times = {1: 5, 2: 4, 3: 3, 4: 2}  # number -> minutes before now

    async def conversation(client):
        def batch(*numbers):
            at = {n: (NOW - timedelta(minutes=times[n])).isoformat() for n in numbers}
            return {"events": [event(n, ts=at[n], session_id="s1") for n in numbers]}

        answers = [await client.post("/v1/events", json=batch(*numbers)) for numbers in ((3, 4), (1, 2), (2, 3))]
        actions = client.gateway.now_playing.sessions.get("s1", "u1").state.actions
        return [answer.json() for answer in answers], [action.item_id for action in actions]

    answers, items = talk(conversation)
    assert answers == [{"accepted": 2, "duplicates": 0}] * 2 + [{"accepted": 0, "duplicates": 2}]
    assert items == ["1", "2", "3", "4"]
    # The online store gets them as they come, and refuses what is older than its newest entry until the next refresh.
    assert [one.item_id for one in world.pushes.interactions] == ["3", "4", "1", "2"]


def test_an_item_that_a_model_knew_before_the_catalogue_counts_where_it_was_shown(talk, world):
    world.server.old["99"] = 99.0

    async def conversation(client):
        page = (await client.post("/v1/home", json={"user_id": "u1", "request_id": "shown"})).json()
        assert "99" in [item["item_id"] for shelf in page["shelves"] for item in shelf["items"]]
        return [
            (await client.post("/v1/events", json={"events": [event(n, item_id="99", request_id=request)]})).status_code
            for n, request in enumerate(("shown", "another"))
        ]

    assert talk(conversation) == [200, 404]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"ts": (NOW + timedelta(minutes=4)).isoformat()}, 200, ""),
        ({"ts": (NOW + timedelta(minutes=6)).isoformat()}, 422, "in the future"),
        ({"ts": (NOW - timedelta(days=29)).isoformat()}, 200, ""),
        ({"ts": (NOW - timedelta(days=31)).isoformat()}, 422, "in the past"),
        ({"ts": "0001-01-01T00:00:00+00:00"}, 422, "in the past"),
        ({"ts": "9999-12-31T23:59:59+00:00"}, 422, "in the future"),
        ({"ts": "2027-01-15T08:00:00"}, 422, "ts"),  # without a zone
        ({"ts": 1800000000}, 422, "ts"),
        ({"ts": "1800000000"}, 422, "ISO 8601"),
        ({"item_id": "zzz"}, 404, "no item 'zzz'"),
        ({"action": "buy"}, 422, "action"),
        ({"ms_played": -1}, 422, "ms_played"),
        ({"event_id": "impression:r1:1"}, 422, "event_id"),  # ids of collected impressions
        ({"user_id": "null"}, 422, "user_id"),  # an import would read no listener
        ({"user_id": "ｆｕｌｌ 𠀀 🎵"}, 200, ""),
        ({"user_id": "\ue000"}, 422, "user_id"),  # of no script
        ({"user_id": "stranger"}, 200, ""),  # new listeners have events before they have features
        ({"action": "impression"}, 200, ""),
    ],
)
def test_one_wrong_event_refuses_the_batch(talk, world, changes, status, words):
    async def conversation(client):
        answer = await client.post("/v1/events", json={"events": [event(1), event(2, **changes)]})
        return answer, (await client.post("/v1/events", json={"events": [event(1)]})).json()["duplicates"]

    answer, known = talk(conversation)
    assert answer.status_code == status
    assert known == (status == 200)  # of a refused batch nothing is kept
    if status != 200:
        assert words in answer.json()["error"]


def test_the_actions_are_those_of_the_schema():
    assert get_args(api.Event.model_fields["action"].annotation) == ACTIONS


def test_a_batch_has_1_to_500_events(post):
    assert post("/v1/events", events=[]).status_code == 422
    small = {"event_id": "e", "request_id": "r", "user_id": "u", "item_id": "1", "action": "play"}
    many = [small | {"event_id": f"e{n}", "ts": "2027-01-15T07:59Z"} for n in range(501)]
    assert post("/v1/events", events=many).status_code == 422
    assert post("/v1/events", events=many[:500]).json() == {"accepted": 500, "duplicates": 0}


def test_another_listeners_request_or_session_is_refused(talk):
    async def conversation(client):
        page = (await client.post("/v1/home", json={"user_id": "u2"})).json()
        await client.post("/v1/sessions/s2/next", json={"user_id": "u2"})
        return [
            await client.post("/v1/events", json={"events": [event(1, request_id=page["request_id"])]}),
            await client.post("/v1/events", json={"events": [event(1, session_id="s2")]}),
        ]

    assert [answer.status_code for answer in talk(conversation)] == [409, 409]


def test_a_journal_that_is_down_asks_to_try_again(talk):
    async def conversation(client):
        client.gateway.journal.close()
        return await client.post("/v1/events", json={"events": [event(1)]})

    answer = talk(conversation)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "journal" in answer.json()["error"]


def test_an_event_that_is_kept_after_the_time_out_still_reaches_its_session_and_the_online_store(
    talk, world, monkeypatch
):
    monkeypatch.setattr(feedback, "WAIT_SECONDS", 0.05)
    free = threading.Event()

    async def conversation(client):
        keeping = client.gateway.journal.keeping
        write = keeping.write
        monkeypatch.setattr(keeping, "write", lambda records: free.wait(SECONDS) and write(records))
        late = await client.post("/v1/events", json={"events": [event(1, session_id="s1")]})
        free.set()
        again = await client.post("/v1/events", json={"events": [event(1, session_id="s1")]})
        actions = client.gateway.now_playing.sessions.get("s1", "u1").state.actions
        return late.status_code, again.json(), [action.event_id for action in actions]

    assert talk(conversation) == (503, {"accepted": 0, "duplicates": 1}, ["e1"])
    assert [one.item_id for one in world.pushes.interactions] == ["1"]


def test_an_online_store_that_is_down_refuses_no_event(talk, world):
    class Down:
        def extend(self, interactions):
            raise UnavailableError("the online store is down", "wait")

    world.pushes, batch = Down(), [event(n % 40 + 1, event_id=f"e{n}") for n in range(200)]

    async def conversation(client):
        answers = [await client.post("/v1/events", json={"events": batch}) for _ in range(2)]
        more = [event(n % 40 + 1, event_id=f"f{n}") for n in range(1200)]  # more than may wait for one writer
        answers += [await client.post("/v1/events", json={"events": more[n : n + 400]}) for n in (0, 400, 800)]
        return {answer.status_code for answer in answers}, (await client.get("/readyz")).json()["down"]

    statuses, down = talk(conversation)
    assert statuses == {200}
    assert "pushes to the online store" in down


def test_a_journal_that_cannot_write_asks_to_try_again(talk, monkeypatch):
    async def conversation(client):
        def full(records):
            raise OSError("no space left on device")

        monkeypatch.setattr(client.gateway.journal.keeping, "write", full)
        return await client.post("/v1/events", json={"events": [event(1)]})

    assert talk(conversation).status_code == 503


def test_an_event_of_a_fast_clock_has_happened_when_it_comes(talk, world):
    fast = event(1, ts=(NOW + timedelta(minutes=4)).isoformat(), session_id="s1")

    async def conversation(client):
        await client.post("/v1/events", json={"events": [fast, event(2, session_id="s1")]})
        return [(a.item_id, a.ts) for a in client.gateway.now_playing.sessions.get("s1", "u1").state.actions]

    assert talk(conversation) == [("2", NOW - timedelta(minutes=1)), ("1", NOW)]
    assert world.pushes.interactions[-1].ts == NOW  # a push of the future would refuse all that come before it
