"""The server follows the disk: new versions, broken ones, labels, and a bad configuration."""

import shutil
import threading

import numpy as np
import pytest

from segue.errors import InputError, SegueError
from serving.client.sync_client import Client
from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server.manager import Retries
from serving.server_config import ServerConfig
from serving.store import model_store

ONCE = Retries(limit=0)


@pytest.fixture
def root(tmp_path, saved_models):
    """A store with version 1 of `scale`: y = x."""
    model_store.push(tmp_path / "store", {"scale": saved_models["one"]})
    return tmp_path / "store"


@pytest.fixture
def running(root):
    """A client of a server on `root` that reads the disk 10 times a second."""
    settings = ServerConfig(
        root / model_store.CONFIG,
        file_system_poll_wait_seconds=0.1,
        model_config_file_poll_wait_seconds=0.1,
        retries=ONCE,
    )
    with ModelServer(settings) as server, Client(server.address) as client:
        yield client


def factor(client, x, **spec):
    """The factor of the version that answers."""
    return float(client.predict("scale", {"x": x}, **spec)["y"][0, 0] / x[0, 0])


def test_the_server_follows_a_push_and_a_rollback(root, running, saved_models, x, eventually):
    assert factor(running, x, label="stable") == 1.0

    model_store.push(root, {"scale": saved_models["two"]})
    eventually(lambda: factor(running, x, label="stable") == 2.0)
    assert factor(running, x) == 2.0

    model_store.rollback(root)
    eventually(lambda: factor(running, x, label="stable") == 1.0)
    eventually(lambda: running.status("scale")[2]["state"] == "END")
    assert factor(running, x) == 1.0


def test_no_request_fails_while_versions_change(root, running, saved_models, x, eventually):
    failures, stop = [], threading.Event()

    def hammer():
        while not stop.is_set():
            try:
                assert factor(running, x, label="stable") in (1.0, 2.0)
                assert factor(running, x) in (1.0, 2.0)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for name in ("two", "one", "two"):
        version = model_store.push(root, {"scale": saved_models[name]}, keep=1)
        eventually(lambda version=version: running.metadata("scale", label="stable")["version"] == version)
    stop.set()
    for thread in threads:
        thread.join()

    assert failures == []


def test_a_broken_version_keeps_the_previous_one_answering(root, running, saved_models, x, eventually):
    model_store.push(root, {"scale": saved_models["corrupt"]})
    eventually(lambda: running.status("scale").get(2, {}).get("state") == "END")

    status = running.status("scale")
    assert status[1] == {"state": "AVAILABLE", "error": ""}
    assert "SavedModel" in status[2]["error"]
    assert factor(running, x, label="stable") == 1.0
    assert factor(running, x) == 1.0


def test_the_labels_of_two_models_move_together_or_not_at_all(root, running, saved_models, x, eventually):
    model_store.push(root, {"scale": saved_models["two"], "other": saved_models["corrupt"]})
    eventually(lambda: running.status("scale").get(2, {}).get("state") == "AVAILABLE")
    eventually(lambda: running.status("other").get(2, {}).get("state") == "END")

    assert factor(running, x, label="stable") == 1.0

    model_store.push(root, {"scale": saved_models["two"], "other": saved_models["one"]})
    eventually(lambda: factor(running, x, label="stable") == 2.0)


def test_a_bad_config_file_changes_nothing(root, running, saved_models, x, eventually, caplog):
    (root / model_store.CONFIG).write_text("model_config_list {")
    eventually(lambda: "cannot follow the configuration" in caplog.text)

    assert factor(running, x, label="stable") == 1.0

    store_config = root / model_store.CONFIG
    store_config.unlink()
    model_store.push(root, {"scale": saved_models["two"]})
    eventually(lambda: factor(running, x, label="stable") == 2.0)


def test_a_model_without_a_config_file_follows_its_folder(tmp_path, saved_models, x, eventually):
    base = tmp_path / "base"
    shutil.copytree(saved_models["one"], base / "1")
    settings = ServerConfig(models=[ModelConfig("scale", base)], file_system_poll_wait_seconds=0.1, retries=ONCE)
    with ModelServer(settings) as server, Client(server.address) as client:
        shutil.copytree(saved_models["corrupt"], base / "5")
        eventually(lambda: client.status("scale").get(5, {}).get("state") == "END")
        assert factor(client, x) == 1.0

        # The server tries an incomplete copy again once its files have changed.
        shutil.copytree(saved_models["two"], base / "5", dirs_exist_ok=True)
        eventually(lambda: factor(client, x) == 2.0)
        eventually(lambda: client.status("scale")[1]["state"] == "END")


def test_a_server_whose_model_does_not_load_reports_the_reason(tmp_path, saved_models):
    model_store.push(tmp_path / "store", {"broken": saved_models["corrupt"]})

    with (
        pytest.raises(SegueError, match=r"\{name: broken version: 1\} due to error: .*SavedModel"),
        ModelServer(ServerConfig(tmp_path / "store" / model_store.CONFIG, retries=ONCE)),
    ):
        pass


def test_a_server_does_not_start_with_a_label_on_a_missing_version(root):
    path = root / model_store.CONFIG
    path.write_text(path.read_text().replace("value: 1", "value: 4"))

    with (
        pytest.raises(SegueError, match=r"\{name: scale version: 4\} due to error: NOT_FOUND"),
        ModelServer(ServerConfig(path)),
    ):
        pass


def test_a_server_does_not_start_on_a_taken_port(root, shared_server):
    port = int(shared_server.address.rsplit(":", 1)[1])

    with (
        pytest.raises(InputError, match=r"cannot listen on .*: Address already in use"),
        ModelServer(ServerConfig(root / model_store.CONFIG, port=port)),
    ):
        pass


@pytest.mark.parametrize("rest_port", [None, 0])
@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("nosuch.invalid", "the host does not resolve"),
        ("http://127.0.0.1", "the host does not resolve"),
        ("192.0.2.1", "Cannot assign requested address"),
    ],
)
def test_a_server_says_why_it_cannot_listen(root, host, reason, rest_port):
    port = None if rest_port == 0 else 0
    with pytest.raises(InputError, match=rf"cannot listen on .*{host}.*: {reason}"):
        ModelServer(ServerConfig(root / model_store.CONFIG, host=host, port=port, rest_port=rest_port)).start()


def test_parallel_requests_get_their_own_answers(client):
    answers = {}

    def ask(number):
        x = np.full((3, 2), number, np.float32)
        answers[number] = client.predict("scale", {"x": x}, label="stable")["y"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all((answers[number] == 2 * number).all() for number in range(16))
