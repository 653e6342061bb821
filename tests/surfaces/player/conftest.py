"""A gateway in this process, with the player."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from surfaces.player.player import Listeners, Player
from surfaces.player.routes import mount
from tests.surfaces.gateway import conftest as gateway

world = gateway.world
LISTENERS = ["u1", "u2", "U10", "o'brien", 'a"b', "x/y"]


@pytest.fixture
def listeners(tmp_path):
    """A table of listeners."""
    path = tmp_path / "users.parquet"
    pq.write_table(pa.table({"user_id": LISTENERS}), path)
    return Listeners(path)


@pytest.fixture
def visit(world, listeners):
    """Run `conversation(client)` with a client of a gateway with the player: `visit(conversation, read_only=True)`."""

    def run(conversation, **settings):
        async def whole():
            async with gateway.open_client(world) as client:
                app = client._transport.app
                mount(app, Player(listeners, **settings))
                client.base_url = "http://127.0.0.1:8700"
                return await conversation(client)

        return gateway.asyncio.run(whole())

    return run


@pytest.fixture
def get(visit):
    """One GET: `get("/player/", headers={...}, read_only=True)`."""

    def call(path, headers=None, **settings):
        return visit(lambda client: client.get(path, headers=headers or {}), **settings)

    return call
