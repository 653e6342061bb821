"""How long an event takes from the request that brings it to the online features of its listener."""

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from feature_repo.feast_store import open_store
from feature_repo.online import listener
from segue.errors import SegueError
from segue.settings import Home
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient

MOST_SECONDS = 20.0  # an event that takes longer is lost
LOOK_SECONDS = 0.002  # between two reads of the features


def event_to_features(home: Home, address: str, users: Sequence[str]) -> dict[str, float]:
    """Let each listener play an item of a Home page, and wait until the play is in the features.

    Args:
        home: has the online store.
        address: of the gateway.
        users: listeners with a history; each plays once.

    Returns:
        `p50_ms` and `p99_ms` from the moment at which the event is sent.

    Raises:
        SegueError: an event does not come.
    """
    store, took = open_store(home), []

    def newest(user: str) -> str:
        return listener(store, user).features_at(datetime.now(UTC))["history_items"][-1]

    with GatewayClient(address) as client:
        for user in users:
            page = client.home(api.HomeRequest.model_validate({"user_id": user}))
            before = newest(user)
            item = next(one.item_id for one in page.shelves[0].items if one.item_id != before)
            sent = time.perf_counter()
            client.events(
                [
                    api.Event(
                        event_id=uuid.uuid4().hex,
                        request_id=page.request_id,
                        user_id=user,
                        item_id=item,
                        action="play",
                        ms_played=None,
                        ts=datetime.now(UTC),
                    )
                ]
            )
            while newest(user) != item:
                if time.perf_counter() > sent + MOST_SECONDS:
                    raise SegueError(
                        f"An event of {user!r} did not reach the online features.", "See the gateway's log."
                    )
                time.sleep(LOOK_SECONDS)
            took.append(time.perf_counter() - sent)
    p50, p99 = np.percentile(took, [50, 99]) * 1e3
    return {"p50_ms": float(p50), "p99_ms": float(p99)}
