"""`segue gateway` as it runs: over a real model server, online store and journal, which are killed."""

import resource
import shutil
import signal
import socket
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.definition import parse
from experiments.registry import Registry
from segue.errors import InputError, UnavailableError
from segue.files import read_json, write_json
from serving.store import model_store
from stores.servers import free_ports
from surfaces.gateway import api
from surfaces.gateway.client import GatewayClient
from surfaces.gateway.next_items import NextRequest
from tests.support.experiments import definition
from tests.support.processes import gateway, model_server
from tests.support.soon import SECONDS

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-the-tests-only"


@pytest.fixture(scope="module")
def home(trained, tmp_path_factory):
    """A copy of the trained home."""
    root = tmp_path_factory.mktemp("gateway") / "home"
    shutil.copytree(trained.home.root, root, ignore=shutil.ignore_patterns("runs", ".lock"))
    return type(trained.home)(root)


@pytest.fixture(scope="module")
def server(home):
    """A model server; a test that kills it starts another at the same address."""
    port = free_ports(1)[0]
    running = {"server": model_server(home.root, port).wait(), "port": port}
    yield running
    running["server"].end()


@pytest.fixture(scope="module")
def running(home, server):
    """A gateway."""
    process = gateway(home.root, f"127.0.0.1:{server['port']}").wait()
    yield process
    assert process.end() == 0


@pytest.fixture
def client(running):
    """A client of the gateway."""
    with GatewayClient(running.address) as client:
        yield client


@pytest.fixture(scope="module")
def user(home):
    """A listener with a history."""
    events = pq.read_table(home.data / "events", columns=["user_id", "action"])
    return next(row["user_id"] for row in events.to_pylist() if row["action"] == "play")


def when(ask, holds):
    """Return the first answer that is as it should be: on a busy machine a stage may miss its deadline."""
    deadline = time.monotonic() + SECONDS
    while not holds(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    return answer


def is_whole(answer):
    """Whether no stage of an answer is degraded."""
    return (answer.level, answer.degraded) == (0, [])


def events_of(answer, user, count=1):
    """Plays of the first items of an answer."""
    items = [item for shelf in answer.shelves for item in shelf.items]
    return [
        api.Event(
            event_id=uuid.uuid4().hex,
            request_id=answer.request_id,
            user_id=user,
            item_id=item.item_id,
            action="play",
            ts=datetime.now(UTC),
        )
        for item in items[:count]
    ]


def test_whole_answers_without_tensorflow_in_the_process(running, client, user):
    page = when(lambda: client.home(api.HomeRequest(user_id=user)), is_whole)
    assert len(page.shelves) >= 3
    following = when(lambda: client.next("s1", NextRequest(user_id=user, k=5)), is_whole)
    assert len(following.items) == 5
    assert client.events(events_of(page, user, 3)).accepted == 3
    first = page.shelves[0].items[0]
    assert client.item(first.item_id).title == first.title
    assert client.why(page.request_id, first.item_id).versions == page.versions
    assert "tensorflow" not in Path(f"/proc/{running.process.pid}/maps").read_text()


def test_an_event_reaches_the_online_features(client, user, home):
    from feature_repo.feast_store import open_store
    from feature_repo.online import listener

    store = open_store(home)

    def history():
        return listener(store, user).features_at(datetime.now(UTC))["history_items"]

    page, before = client.home(api.HomeRequest(user_id=user)), history()  # an item counts once in a second
    event = next(one for one in events_of(page, user, None) if one.item_id not in before)
    client.events([event])
    when(history, lambda items: items[-1] == event.item_id)  # `segue bench gateway` measures the time


def test_the_model_version_of_an_arm_reaches_the_running_gateway_and_its_end_is_said(client, home, user):
    def answered_by(version, *degraded):
        """Wait for a whole page of this version of the ranking model and with these stages degraded."""
        asked = (0, version, list(degraded))
        when(
            lambda: client.home(api.HomeRequest(user_id=user)),
            lambda page: (page.level, page.versions["ranking"], page.degraded) == asked,
        )

    stable = model_store.stable(home.models)["ranking"]
    newer = model_store.push(home.models, {"ranking": stable}, label="canary")
    model_store.promote(home.models, newer, "trial")
    arms = [{"name": "control", "share": 0.5}]
    arms.append({"name": "treatment", "share": 0.5, "parameters": {"models.ranking": "trial"}})
    registry = Registry(home.experiments)
    registry.start(parse(definition(arms=arms, overrides={user: "treatment"})), datetime.now(UTC), "me")
    answered_by(newer)
    model_store.rollback(home.models)
    model_store.drop(home.models, "trial")
    answered_by(int(stable.name), "versions")
    registry.stop("more-new", "stop", "The label is gone.", "me", datetime.now(UTC))
    answered_by(int(stable.name))


def test_an_import_reaches_the_running_gateway(client, home):
    items = pq.read_table(home.data / "items.parquet")
    newer = {**items.slice(0, 1).to_pylist()[0], "item_id": "of-today", "title": "Of Today"}
    manifest = read_json(home.data / "manifest.json")
    with pytest.raises(InputError, match="of-today"):
        client.item("of-today")
    pq.write_table(pa.concat_tables([items, pa.Table.from_pylist([newer], items.schema)]), home.data / "items.parquet")
    write_json(home.data / "manifest.json", {**manifest, "sha256": "of-today"})
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            assert client.item("of-today").title == "Of Today"
            break
        except InputError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_recommend_and_the_gateway_stand_on_one_model_server(home, server, user, trained):
    answer = type(trained)(home.root).json("recommend", "--user", user, "--server", f"127.0.0.1:{server['port']}")
    assert len(answer["recommendations"][user]) == 10


def test_a_killed_model_server_costs_no_answer(client, server, home, user):
    whole = when(lambda: client.home(api.HomeRequest(user_id=user)), is_whole)
    server["server"].end(signal.SIGKILL)
    down = [client.home(api.HomeRequest(user_id=user)) for _ in range(10)]
    assert {page.level for page in down} == {2}
    kept = [item.item_id for shelf in down[-1].shelves for item in shelf.items]
    shown = [item.item_id for shelf in whole.shelves for item in shelf.items]
    assert kept == [item for item in shown if item in kept]
    assert client.next("s-down", NextRequest(user_id=user)).items
    assert client.home(api.HomeRequest(user_id="newcomer", picks=[])).level == 3
    when(client.state, lambda state: state.down == ["models"])
    taken = []
    for _ in range(5):  # it has noticed, and fails its calls at once; a busy machine delays some of these pages
        began = time.monotonic()
        client.home(api.HomeRequest(user_id=user))
        taken.append(time.monotonic() - began)
    assert min(taken) < 0.3

    server["server"] = model_server(home.root, server["port"]).wait()
    when(lambda: client.home(api.HomeRequest(user_id=user)), is_whole)


def test_a_broken_online_store_costs_the_features_only(home, server, user, tmp_path):
    copy = type(home)(tmp_path / "home")
    shutil.copytree(home.root, copy.root)
    store = copy.features / "online.db"
    kept = store.with_suffix(".kept")
    store.rename(kept)
    store.write_bytes(b"this is no database" * 4096)
    process = gateway(copy.root, f"127.0.0.1:{server['port']}").wait()
    try:
        with GatewayClient(process.address) as client:
            pages = [client.home(api.HomeRequest(user_id=user)) for _ in range(5)]
            assert all("features" in page.degraded for page in pages)
            assert any((page.level, page.degraded) == (0, ["features"]) for page in pages)
            kept.replace(store)
            when(lambda: client.home(api.HomeRequest(user_id=user)), is_whole)
    finally:
        assert process.end() == 0


def test_a_killed_gateway_loses_no_acknowledged_event(home, server, user):
    acknowledged, sent = [], []
    for least in (10, 20):
        process = gateway(home.root, f"127.0.0.1:{server['port']}").wait()
        with GatewayClient(process.address) as client:
            page = client.home(api.HomeRequest(user_id=user))

            def send(client=client, page=page):
                try:
                    while True:
                        batch = events_of(page, user, 5)
                        sent.extend(batch)
                        client.events(batch)
                        acknowledged.extend(batch)
                except (UnavailableError, InputError):
                    pass

            senders = [threading.Thread(target=send) for _ in range(4)]
            for sender in senders:
                sender.start()
            when(lambda: len(acknowledged), lambda count, least=least: count > least)
            process.end(signal.SIGKILL)
            for sender in senders:
                sender.join()

    process = gateway(home.root, f"127.0.0.1:{server['port']}").wait()
    with GatewayClient(process.address) as client:
        again = [client.events(acknowledged[start : start + 100]) for start in range(0, len(acknowledged), 100)]
        assert sum(answer.duplicates for answer in again) == len(acknowledged)  # each was kept, and counts once
    assert process.end() == 0
    assert "leaked" not in "".join(process.lines)  # what DuckDB says of a process that ends with frozen objects


def test_idle_and_slow_clients_disturb_nobody(running, client, user):
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))  # as after `ulimit -n 1024`
    address = urlsplit(running.address)
    idle = [socket.create_connection((address.hostname, address.port)) for _ in range(1000)]
    slow = socket.create_connection((address.hostname, address.port))
    slow.sendall(b"POST /v1/home HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
    try:
        for _ in range(5):
            assert client.home(api.HomeRequest(user_id=user)).shelves
        slow.settimeout(SECONDS)
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    finally:
        for connection in (*idle, slow):
            connection.close()
    assert client.state().ready


def test_a_taken_port_is_named(trained, running):
    done = trained("gateway", "--port", running.address.rpartition(":")[2])
    assert done.returncode == 2
    assert "cannot listen on 127.0.0.1" in done.stderr


def test_a_gateway_with_tokens_and_without_models(home, tmp_path, user):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"# callers\n{TOKEN}\n")
    process = gateway(home.root, "127.0.0.1:1", "--tokens", str(tokens)).wait()
    try:
        with GatewayClient(process.address) as client, pytest.raises(InputError, match="token"):
            client.home(api.HomeRequest(user_id=user))
        with GatewayClient(process.address, TOKEN) as client:
            assert client.home(api.HomeRequest(user_id=user)).level == 3
        assert httpx.get(f"{process.address}/healthz", trust_env=False).text == "ok"
    finally:
        assert process.end() == 0
