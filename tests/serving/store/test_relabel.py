"""Labels that move in a running server: what it is told, in which order, and what happens if it refuses."""

from concurrent import futures

import grpc
import pytest
from google.protobuf import text_format

from segue.errors import InputError, SegueError, UnavailableError
from serving.client.sync_client import Client
from serving.protocol import config_files as config
from serving.protocol import protos
from serving.run_server import ModelServer, ServerConfig
from serving.server.manager import LABELS_UNUSED
from serving.store import model_store as store
from serving.store import relabel
from serving.store.relabel import move_labels

MANAGEMENT = "tensorflow_serving/apis/model_management.proto"
STATUS = "tensorflow_serving/apis/get_model_status.proto"
ReloadRequest = protos.message("tensorflow.serving.ReloadConfigRequest", MANAGEMENT)
ReloadResponse = protos.message("tensorflow.serving.ReloadConfigResponse", MANAGEMENT)
StatusRequest = protos.message("tensorflow.serving.GetModelStatusRequest", STATUS)
StatusResponse = protos.message("tensorflow.serving.GetModelStatusResponse", STATUS)
LOADING, AVAILABLE = 20, 30


class Recorder:
    """A model server that keeps what it is told; versions load while it is asked, after `delay` questions.

    Attributes:
        configs: every configuration received, as model -> (versions, labels).
        refuse: which of them is refused, counted from 0; None for none.
    """

    def __init__(self) -> None:
        self.configs: list[dict] = []
        self.refuse: int | None = None
        self.delay = 0

    def reload(self, request, context):
        entries = config.parse_config(text_format.MessageToString(request.config))
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
    """A recorder and its address."""
    found = Recorder()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler
    methods = {
        "HandleReloadConfigRequest": handler(found.reload, ReloadRequest.FromString, ReloadResponse.SerializeToString),
        "GetModelStatus": handler(found.status, StatusRequest.FromString, StatusResponse.SerializeToString),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", methods),))
    found.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield found
    server.stop(None).wait()


BEFORE = config.render_config({"a": {"stable": 1, "canary": 2}, "b": {"stable": 1}}, "/m")
AFTER = config.render_config({"a": {"stable": 2}, "b": {"stable": 2}, "c": {"stable": 2}}, "/m")


def test_all_versions_are_loaded_before_a_label_moves(recorder):
    recorder.delay = 1  # what is not loaded yet is asked for again

    move_labels(recorder.address, BEFORE, AFTER)

    both = {"a": ((1, 2), {"stable": 1, "canary": 2}), "b": ((1, 2), {"stable": 1}), "c": ((2,), {})}
    after = {name: ((2,), {"stable": 2}) for name in "abc"}
    assert recorder.configs == [both, both, after]


@pytest.mark.parametrize("refused", [0, 1])
def test_a_refusal_is_told_and_taken_back(recorder, refused):
    recorder.refuse = refused

    with pytest.raises(InputError, match="Request to assign label to version 2 of model a"):
        move_labels(recorder.address, BEFORE, AFTER)

    assert len(recorder.configs) == refused + 2
    assert recorder.configs[-1] == {"a": ((1, 2), {"stable": 1, "canary": 2}), "b": ((1,), {"stable": 1})}


def test_a_server_that_is_not_there_is_known_soon(monkeypatch):
    monkeypatch.setattr(relabel, "ANSWER_SECONDS", 0.3)

    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 gave no answer in 0\.3 s"):
        move_labels("127.0.0.1:1", BEFORE, AFTER)


def test_a_version_that_does_not_load_is_told_and_taken_back(recorder):
    recorder.delay = 10_000

    with pytest.raises(UnavailableError, match="version 2 is LOADING"):
        move_labels(recorder.address, BEFORE, AFTER, load_seconds=0.3)

    assert recorder.configs[-1]["b"] == ((1,), {"stable": 1})


def test_a_store_and_a_server_that_does_not_poll(tmp_path, saved_models, x):
    """Push, canary, promote and rollback: the server has each label before the file says so."""
    root = tmp_path / "store"
    store.push(root, {"scale": saved_models["one"]}, warmup={"scale": [{"x": x}]})
    settings = ServerConfig(root / store.CONFIG, labels=LABELS_UNUSED)  # a label never moves to what is not loaded
    with ModelServer(settings) as server, Client(server.address) as client:

        def tell(before, after):
            move_labels(server.address, before, after)

        def factor(label="stable"):
            return float(client.predict("scale", {"x": x}, label=label)["y"][0, 0] / x[0, 0])

        store.push(root, {"scale": saved_models["two"]}, label="canary")
        assert store.promote(root, tell=tell) == {"scale": 2}
        assert factor() == 2.0

        store.push(root, {"scale": saved_models["corrupt"]}, label="canary")
        text = (root / store.CONFIG).read_text()
        with pytest.raises(SegueError, match="version 3"):
            store.promote(root, tell=lambda before, after: move_labels(server.address, before, after, 0.5))
        assert (root / store.CONFIG).read_text() == text
        assert factor() == 2.0

        assert store.rollback(root, tell) == ("canary", {"scale": None})
        assert store.rollback(root, tell) == ("stable", {"scale": 1})
        assert factor() == 1.0
