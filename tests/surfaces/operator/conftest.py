"""A gateway in this process, with the operator's page over a home that a loop has left."""

from datetime import UTC, datetime

import pytest

from pipelines.run_state import state
from rollout import label_decisions
from surfaces.operator.operator import Operator
from surfaces.player.player import Player
from surfaces.player.routes import mount
from tests.support.loops import looped
from tests.surfaces.gateway import conftest as gateway
from tests.surfaces.player import conftest as player
from workloads.operating.operations import HomeOperations

world, listeners = gateway.world, player.listeners


class Trainings:
    """Reasons of trainings that were started."""

    def __init__(self):
        self.reasons = []

    def start(self, why):
        self.reasons.append(why)

    def state(self):
        return None


@pytest.fixture
def trainings():
    """The trainings that were started."""
    return Trainings()


@pytest.fixture
def operations(home, trainings):
    """The operations on a home; `looped(home)` fills it."""
    return HomeOperations(home, state, trainings, label_decisions, lambda: datetime(2026, 3, 6, tzinfo=UTC))


@pytest.fixture
def visit(world, listeners, operations):
    """Run `conversation(client)` with a client of a gateway with the operator's page."""

    def run(conversation, read_only=False, **settings):
        async def whole():
            async with gateway.open_client(world) as client:
                mount(client._transport.app, Player(listeners, read_only, Operator(operations, **settings)))
                client.base_url = "http://127.0.0.1:8700"
                return await conversation(client)

        return gateway.asyncio.run(whole())

    return run


@pytest.fixture
def get(visit, home):
    """One GET of a home that a loop has left."""
    looped(home)
    return lambda path, **settings: visit(lambda client: client.get(path), **settings)


@pytest.fixture
def send(visit, home):
    """One POST to a home that a loop has left: `send("/v1/operator/promote", {"why": "…"}, headers={...})`."""
    looped(home)

    def call(path, body, headers=None, **settings):
        return visit(lambda client: client.post(path, json=body, headers=headers or {}), **settings)

    return call
