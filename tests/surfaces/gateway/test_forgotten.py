"""`segue data forget` reaches what a running gateway remembers of a listener."""

import asyncio
from datetime import timedelta

from segue.errors import UnavailableError
from surfaces.follow import follow_forgotten
from tests.surfaces.conftest import NOW


def test_a_running_gateway_forgets_a_listener(talk, world):
    def refuse(interactions):
        raise UnavailableError("the online store is down", "")

    world.pushes.extend = refuse

    async def run(client):
        gateway, keeping = client.gateway, client.gateway.journal.keeping
        keeping.forget("u2")  # before the gateway looks: a listener who came back since
        following = asyncio.create_task(follow_forgotten(keeping, gateway.forget, 0.001))
        pages = {}
        for user in ("u1", "u2"):
            page = (await client.post("/v1/home", json={"user_id": user})).json()
            pages[user] = f"/v1/why/{page['request_id']}/{page['shelves'][0]['items'][0]['item_id']}"
            await client.post(f"/v1/sessions/s-{user}/next", json={"user_id": user})
            event = {
                "event_id": f"e-{user}", "request_id": page["request_id"], "user_id": user, "item_id": "5",
                "action": "play", "ts": (NOW - timedelta(minutes=1)).isoformat(),
            }  # fmt: skip
            await client.post("/v1/events", json={"events": [event, event | {"event_id": f"f-{user}"}]})
        while gateway.journal.backlog():
            await asyncio.sleep(0.001)
        before = [(await client.get(path)).status_code for path in pages.values()]
        assert await asyncio.to_thread(keeping.forget, "u1") > 0
        while len(gateway.now_playing.sessions) == 2:
            await asyncio.sleep(0.001)
        following.cancel()
        after = [(await client.get(path)).status_code for path in pages.values()]
        return before, after, gateway.pages.last("u1", "home"), gateway.now_playing.sessions.get("s-u2", "u2")

    before, after, last, kept = talk(run)
    assert (before, after, last) == ([200, 200], [404, 200], None)
    assert kept.user_id == "u2"
