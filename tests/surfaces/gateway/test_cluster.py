"""Gateways of a cluster, as processes: they follow the roll-out in Redis, and a controller sees their counts."""

import time
from datetime import UTC, datetime

import pytest

from benchmarks.rollout.last_answers import Load, going_on, taken_back
from benchmarks.rollout.site import Site, made
from benchmarks.surfaces.gateway import listeners
from experiments.assignment.cohorts import cohort
from rollout.decision import Decision
from rollout.moves import decided, start
from rollout.plan import Plan
from rollout.state_file import change, read
from segue.settings import Home
from serving.rollouts.kept_counts import counts_keeping
from serving.store.split import salt_of
from stores import online_store, parts, servers
from stores.settings import settings
from surfaces.cohorts.counts import read_counts
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient
from tests.support.processes import gateway, model_server
from tests.support.soon import SECONDS

pytestmark = pytest.mark.slow

AT = datetime(2026, 3, 2, tzinfo=UTC)
PLAN = Plan(shadow=0.0, stages=(0.5,))
STAYS = "the roll-out stays as it was"


def until(true):
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def versions(client, user):
    """The versions that answered a listener's Home page."""
    return set(client.home(api.HomeRequest(user_id=user)).versions.values())


@pytest.fixture
def controller(cluster, tmp_path):
    """The home of a controller, which has nothing but what it brings."""
    online_store.connect(settings()).flushdb()
    return Home(tmp_path / "controller")


@pytest.fixture
def gateways(controller, tmp_path):
    """Two gateways and a model server. Half of the listeners are the candidate's, version 2 beside version 1."""
    home = made(tmp_path / "site", AT)
    parts.change(home, parts.MODELS, lambda: None)  # publishes them
    parts.bring(controller, parts.MODELS)
    start(controller.models, None, PLAN, "ann", AT)
    port = servers.free_ports(1)[0]
    running = [model_server(home.root, port), *(gateway(home.root, f"127.0.0.1:{port}") for _ in range(2))]
    try:
        for process in running:
            process.wait(120)
        yield home, running[1:]
    finally:
        codes = [process.end() for process in reversed(running)]
    assert codes[:2] == [0, 0]


def test_gateways_follow_a_controller_with_another_home_and_it_sees_what_they_count(gateways, controller, valkey):
    home, running = gateways
    users = listeners(home)
    tried = next(user for user in users if cohort(salt_of(1), user, 0.5) == "candidate")
    clients = [GatewayClient(process.address) for process in running]
    for client in clients:
        until(lambda client=client: versions(client, tried) == {2})
    # Counts of both gateways.
    before = read_counts(counts_keeping(controller.rollout_counts), 1)["candidate"].requests
    for client in clients:
        for _ in range(5):
            versions(client, tried)
    until(lambda: read_counts(counts_keeping(controller.rollout_counts), 1)["candidate"].requests >= before + 10)
    # The last answer of the candidate, under load.
    site = Site(home, "", running[0].address, users)
    with Load(site).running() as load:
        for _ in range(10):
            assert taken_back(controller.models, load, AT) < SECONDS  # `segue bench rollout` measures the time
            change(controller.models, going_on)
    assert not load.failed
    # While Redis is dead the last split stays, and that is said once.
    until(lambda: versions(clients[0], tried) == {2})
    valkey.kill()
    try:
        time.sleep(2)
        assert versions(clients[0], tried) == {2}
    finally:
        valkey.start()
    said = [line for line in running[0].lines if STAYS in line]
    assert len(said) == 1
    change(controller.models, lambda state: decided(state, Decision("take back", "x"), "ann", AT, {}))
    until(lambda: all(versions(client, tried) == {1} for client in clients))
    assert read(home.models).rollout.share == 0.0
