"""Labels move in a running server: the configurations that it receives, in order, and the way back after a refusal."""

import time
from concurrent import futures

import grpc
import pytest
from google.protobuf import text_format

from segue.errors import InputError, SegueError, UnavailableError
from serving.client.sync_client import Client
from serving.protocol import config_files, protos
from serving.run_server import ModelServer
from serving.server.label_rules import LABELS_UNUSED
from serving.server_config import ServerConfig
from serving.store import model_store, moving, relabel
from serving.store.moving import put_back
from serving.store.relabel import move_labels

MANAGEMENT = "tensorflow_serving/apis/model_management.proto"
STATUS = "tensorflow_serving/apis/get_model_status.proto"
ReloadRequest = protos.message("tensorflow.serving.ReloadConfigRequest", MANAGEMENT)
ReloadResponse = protos.message("tensorflow.serving.ReloadConfigResponse", MANAGEMENT)
StatusRequest = protos.message("tensorflow.serving.GetModelStatusRequest", STATUS)
StatusResponse = protos.message("tensorflow.serving.GetModelStatusResponse", STATUS)
LOADING, AVAILABLE = 20, 30


class Recorder:
    """A model server that records its configurations. Versions become available after `delay` status calls.

    Attributes:
        configs: every configuration received, as model -> (versions, labels).
        refuse: the number of the configuration that is refused, from 0; None refuses none.
        delay: how many status calls after the first configuration find a version still loading.
    """

    def __init__(self) -> None:
        self.configs: list[dict] = []
        self.refuse: int | None = None
        self.delay = 0

    def reload(self, request, context):
        entries = config_files.parse_config(text_format.MessageToString(request.config))
        self.configs.append({entry.name: (entry.specific, entry.labels) for entry in entries})
        if self.refuse == len(self.configs) - 1:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Request to assign label to version 2 of model a")
        return ReloadResponse()

    def status(self, request, context):
        self.delay -= bool(self.configs)
        entry = StatusResponse()
        entry.model_version_status.add(
            version=request.model_spec.version.value, state=LOADING if self.delay >= 0 else AVAILABLE
        )
        return entry


@pytest.fixture
def recorder():
    """A running recorder; `recorder.address` is its address."""
    recorder = Recorder()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler
    methods = {
        "HandleReloadConfigRequest": handler(
            recorder.reload, ReloadRequest.FromString, ReloadResponse.SerializeToString
        ),
        "GetModelStatus": handler(recorder.status, StatusRequest.FromString, StatusResponse.SerializeToString),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", methods),))
    recorder.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield recorder
    server.stop(None).wait()


BEFORE = config_files.render_config({"a": {"stable": 1, "canary": 2}, "b": {"stable": 1}}, "/m")
AFTER = config_files.render_config({"a": {"stable": 2}, "b": {"stable": 2}, "c": {"stable": 2}}, "/m")


def test_all_versions_are_loaded_before_a_label_moves(recorder):
    recorder.delay = 1  # a version is still loading at the first status call

    move_labels(recorder.address, BEFORE, AFTER, lambda: BEFORE)

    both = {"a": ((1, 2), {"stable": 1, "canary": 2}), "b": ((1, 2), {"stable": 1}), "c": ((2,), {})}
    after = {name: ((2,), {"stable": 2}) for name in "abc"}
    assert recorder.configs == [both, both, after]


@pytest.mark.parametrize("refused", [0, 1])
def test_after_a_refusal_the_old_configuration_is_sent(recorder, refused):
    recorder.refuse = refused

    with pytest.raises(InputError, match="Request to assign label to version 2 of model a"):
        move_labels(recorder.address, BEFORE, AFTER, lambda: BEFORE)

    assert len(recorder.configs) == refused + 2
    assert recorder.configs[-1] == {"a": ((1, 2), {"stable": 1, "canary": 2}), "b": ((1,), {"stable": 1})}


def test_without_a_server_the_call_fails_before_the_load_timeout(monkeypatch):
    monkeypatch.setattr(relabel, "ANSWER_SECONDS", 0.3)

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 gave no answer in 0\.3 s"):
        move_labels("127.0.0.1:1", BEFORE, AFTER, lambda: BEFORE)


def test_after_a_failed_load_the_old_configuration_is_sent(recorder):
    recorder.delay = 10_000

    with pytest.raises(UnavailableError, match="version 2 is LOADING"):
        move_labels(recorder.address, BEFORE, AFTER, lambda: BEFORE, load_seconds=0.3)

    assert recorder.configs[-1]["b"] == ((1,), {"stable": 1})


BACK = config_files.render_config({"a": {"stable": 1, "canary": 1}, "b": {"stable": 1}}, "/m")


@pytest.mark.parametrize(("asked", "delay", "configs"), [(0, 0, 1), (1, 10_000, 2), (1, 0, 3)])
def test_a_server_that_is_asked_to_move_labels_which_moved_meanwhile_gets_those_of_the_moment(
    recorder, asked, delay, configs
):
    """The labels move before the first configuration, while the versions load, or after the last configuration."""
    recorder.delay = delay
    calls = iter([BEFORE] * asked)

    move_labels(recorder.address, BEFORE, AFTER, lambda: next(calls, BACK), load_seconds=5)

    assert recorder.configs[-1] == {"a": ((1,), {"stable": 1, "canary": 1}), "b": ((1,), {"stable": 1})}
    assert len(recorder.configs) == configs


def test_a_store_and_a_server_that_does_not_poll(tmp_path, saved_models, x):
    """Push, canary, promotion and rollback: each label moves in the server before it moves in the file."""
    root = tmp_path / "store"
    model_store.push(root, {"scale": saved_models["one"]}, warmup={"scale": [{"x": x}]})
    # With this rule a label never moves to a version that is not loaded.
    settings = ServerConfig(root / model_store.CONFIG, labels=LABELS_UNUSED)
    with ModelServer(settings) as server, Client(server.address) as client:

        def announce(before, after, current):
            move_labels(server.address, before, after, current)

        def factor(label="stable"):
            return float(client.predict("scale", {"x": x}, label=label)["y"][0, 0] / x[0, 0])

        model_store.push(root, {"scale": saved_models["two"]}, label="canary")
        assert model_store.promote(root, announce=announce) == {"scale": 2}
        assert factor() == 2.0

        model_store.push(root, {"scale": saved_models["corrupt"]}, label="canary")
        text = (root / model_store.CONFIG).read_text()
        with pytest.raises(SegueError, match="version 3"):
            model_store.promote(root, announce=lambda *texts: move_labels(server.address, *texts, 0.5))
        assert (root / model_store.CONFIG).read_text() == text
        assert factor() == 2.0

        assert model_store.rollback(root) == ("canary", {"scale": 2})
        assert model_store.rollback(root) == ("stable", {"scale": 1})
        put_back(root, lambda labels: labels, announce)
        assert factor() == factor("canary") == 1.0


def test_a_way_back_reaches_a_server_within_a_second_while_a_version_is_loading(tmp_path, saved_models, x):
    """The promotion of a version that does not load holds the store, and gives up when it hears of the way back."""
    root = tmp_path / "store"
    for name in ("one", "two"):
        model_store.push(root, {"scale": saved_models[name]})
    model_store.push(root, {"scale": saved_models["corrupt"]})
    model_store.rollback(root)
    settings = ServerConfig(root / model_store.CONFIG, labels=LABELS_UNUSED)
    with ModelServer(settings) as server, Client(server.address) as client, futures.ThreadPoolExecutor(1) as pool:

        def announce(before, after, current):
            move_labels(server.address, before, after, current)

        def factor():
            return float(client.predict("scale", {"x": x}, label="stable")["y"][0, 0] / x[0, 0])

        assert factor() == 2.0
        promotion = pool.submit(model_store.promote, root, 3, announce=announce)
        while 3 not in client.status("scale"):
            time.sleep(0.01)
        began = time.monotonic()
        assert model_store.rollback(root) == ("stable", {"scale": 1})
        written = time.monotonic() - began
        put_back(root, lambda labels: labels, announce)
        assert factor() == 1.0
        assert (written < 1, time.monotonic() - began < 2) == (True, True)
        with pytest.raises(UnavailableError, match="moved by another command"):
            promotion.result()
        assert factor() == 1.0
        assert model_store.labels(root) == {"scale": {"stable": 1}}


def test_a_server_that_polls_more_often_than_a_version_loads(tmp_path, saved_models, x):
    """It keeps the new version while the label waits, as the file names it. After a failure the file is as before."""
    root = tmp_path / "store"
    model_store.push(root, {"scale": saved_models["one"]})
    model_store.push(root, {"scale": saved_models["two"]}, label="canary")
    put_back(root, lambda labels: {"scale": {"stable": 1}})
    polls = []

    def announce(before, after, current):
        (entry,) = config_files.parse_config(current())
        polls.append((before == current(), set(entry.specific), entry.labels))
        if len(polls) == 1:
            raise UnavailableError("not loaded in time", "")

    def stable(labels):
        return {"scale": {"stable": 2}}

    text = (root / model_store.CONFIG).read_text()
    with pytest.raises(UnavailableError, match="not loaded"):
        moving.relabel(root, stable, announce)
    assert (root / model_store.CONFIG).read_text() == text
    moving.relabel(root, stable, announce)
    assert polls == [(True, {1, 2}, {"stable": 1})] * 2
    assert model_store.labels(root) == {"scale": {"stable": 2}}
    assert model_store.rollback(root) == ("stable", {"scale": 1})
