"""The contract of both clients: their requests, results, errors and timeouts."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest

from segue.errors import InputError, SegueError, UnavailableError
from serving.client.async_client import AsyncClient
from serving.client.sync_client import Client
from serving.protocol import protos

# method -> (request message, answer message, the file that declares both)
METHODS = {
    "PredictionService/Predict": ("PredictRequest", "PredictResponse", "predict"),
    "PredictionService/Classify": ("ClassificationRequest", "ClassificationResponse", "classification"),
    "PredictionService/Regress": ("RegressionRequest", "RegressionResponse", "regression"),
    "ModelService/HandleReloadConfigRequest": ("ReloadConfigRequest", "ReloadConfigResponse", "model_management"),
}


def message(name, file):
    return protos.message(f"tensorflow.serving.{name}", f"tensorflow_serving/apis/{file}.proto")


class Awaited:
    """The asyncio client behind the interface of the synchronous one."""

    def __init__(self, address):
        self.loop = asyncio.new_event_loop()

        async def make():
            return AsyncClient(address)

        self.client = self.loop.run_until_complete(make())

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.loop.run_until_complete(getattr(self.client, name)(*args, **kwargs))

    def close(self):
        self.loop.run_until_complete(self.client.close())
        self.loop.close()


class Scripted:
    """A server that fails with each of `codes` in turn and then answers `answers[method]`, each after `delay` s."""

    def __init__(self, codes=(), delay=0.0, port=0):
        self.codes, self.delay, self.requests, self.answers = list(codes), delay, [], {}
        self.server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
        for method, (request, _, file) in METHODS.items():
            service, name = method.split("/")
            handler = grpc.unary_unary_rpc_method_handler(
                self.handler(method), message(request, file).FromString, lambda answer: answer
            )
            self.server.add_generic_rpc_handlers(
                [grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", {name: handler})]
            )
        self.address = f"127.0.0.1:{self.server.add_insecure_port(f'127.0.0.1:{port}')}"
        self.server.start()

    def handler(self, method):
        def answer(request, context):
            self.requests.append(request)
            time.sleep(self.delay)
            if self.codes:
                context.abort(self.codes.pop(0), "as scripted")
            reply = self.answers.get(method, b"")
            return reply if isinstance(reply, bytes) else reply.SerializeToString()

        return answer


@pytest.fixture
def scripted():
    """Start a scripted server, which is stopped after the test."""
    started = []

    def start(*args, **kwargs):
        started.append(Scripted(*args, **kwargs))
        return started[-1]

    yield start
    for server in started:
        server.server.stop(None).wait()


@pytest.fixture(params=[Client, Awaited], ids=["blocking", "asyncio"])
def connect(request):
    """Connect a client to an address; it is closed after the test."""
    opened = []

    def make(address):
        opened.append(request.param(address))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def served(connect, shared_server):
    """A client of the project's own server."""
    return connect(shared_server.address)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TestClientContract:
    """The tests that both clients pass."""

    def test_predict_by_version_by_label_and_by_neither(self, served, x):
        assert served.predict("scale", {"x": x}, version=1)["y"].tolist() == [[1, 2]]
        assert served.predict("scale", {"x": x}, label="stable", outputs=["y"])["y"].tolist() == [[2, 4]]
        both = served.predict("scale", {"x": x})
        assert {name: array.tolist() for name, array in both.items()} == {"y": [[2, 4]], "twice": [[4, 8]]}

    def test_strings_through_a_named_signature(self, served):
        inputs = {"text": ["é", "b"], "count": np.array([1, 2])}

        assert served.predict("scale", inputs, "repeat")["line"].tolist() == ["éx1".encode(), b"bx2"]

    def test_metadata_and_status(self, served):
        metadata = served.metadata("scale", version=1)

        assert metadata["version"] == 1
        assert metadata["signatures"]["serving_default"]["inputs"] == {"x": {"dtype": "float32", "shape": [None, 2]}}
        assert served.status("scale", version=2) == {2: {"state": "AVAILABLE", "error": ""}}

    def test_a_request_that_the_server_rejects(self, served, x):
        with pytest.raises(InputError, match=r'Serving signature key "s" not found\.'):
            served.predict("scale", {"x": x}, "s")

    def test_wait_ready_names_the_missing_model(self, served):
        with pytest.raises(UnavailableError, match="Could not find any versions of model nope"):
            served.wait_ready(["scale", "nope"], timeout=0.3)

    def test_a_version_together_with_a_label_is_rejected(self, connect, x):
        with pytest.raises(InputError, match="a version or a label, not both"):
            connect("127.0.0.1:1").predict("scale", {"x": x}, version=1, label="stable")

    def test_an_input_that_cannot_be_sent_is_named(self, connect):
        with pytest.raises(InputError, match="input 'x': dtype datetime64"):
            connect("127.0.0.1:1").predict("scale", {"x": np.array(["2024"], "datetime64[Y]")})

    def test_unavailable_is_repeated(self, scripted, connect):
        server = scripted([grpc.StatusCode.UNAVAILABLE] * 2)

        assert connect(server.address).predict("m", {}) == {}
        assert len(server.requests) == 3

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            (grpc.StatusCode.INVALID_ARGUMENT, InputError),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, UnavailableError),
            (grpc.StatusCode.INTERNAL, SegueError),
        ],
    )
    def test_other_statuses_are_not_repeated(self, scripted, connect, code, error):
        server = scripted([code])

        with pytest.raises(error, match="as scripted"):
            connect(server.address).predict("m", {})
        assert len(server.requests) == 1

    def test_no_server_is_unavailable_within_the_timeout(self, connect):
        client, began = connect(f"127.0.0.1:{free_port()}"), time.monotonic()

        with pytest.raises(UnavailableError, match="gave no answer"):
            client.predict("m", {"x": np.zeros(1)}, timeout=0.5)
        assert time.monotonic() - began < 9  # 10 s are the default

    def test_a_slow_server_is_unavailable_within_the_timeout(self, scripted, connect):
        client = connect(scripted(delay=1.0).address)

        with pytest.raises(UnavailableError, match="DEADLINE_EXCEEDED"):
            client.predict("m", {}, timeout=0.2)

    def test_a_call_waits_for_a_server_that_restarts(self, scripted, connect):
        port = free_port()
        first = scripted(port=port)
        client = connect(first.address)
        client.predict("m", {})
        first.server.stop(None).wait()
        later = threading.Timer(0.3, lambda: scripted(port=port))
        later.start()

        assert client.predict("m", {}) == {}
        later.join()

    def test_classify(self, scripted, connect):
        server = scripted()
        answer = message("ClassificationResponse", "classification")()
        for label, score in (("cat", 0.75), ("dog", 0.25)):
            answer.result.classifications.add().classes.add(label=label, score=score)
        server.answers["PredictionService/Classify"] = answer

        classes = connect(server.address).classify("m", [{"a": 1}, {"a": 2}], {"c": "x"}, label="stable")

        assert classes == [[("cat", 0.75)], [("dog", 0.25)]]
        request = server.requests[0]
        assert (request.model_spec.name, request.model_spec.version_label) == ("m", "stable")
        assert len(request.input.example_list_with_context.examples) == 2

    def test_regress(self, scripted, connect):
        server = scripted()
        answer = message("RegressionResponse", "regression")()
        for value in (0.5, 1.5):
            answer.result.regressions.add(value=value)
        server.answers["PredictionService/Regress"] = answer

        values = connect(server.address).regress("m", [{"a": 1.0}, {"a": 2.0}], version=4)

        np.testing.assert_array_equal(values, np.array([0.5, 1.5], np.float32), strict=True)
        assert server.requests[0].model_spec.version.value == 4

    def test_reload_config_as_text_and_as_a_message(self, scripted, connect):
        server = scripted()
        client = connect(server.address)

        client.reload_config('model_config_list { config { name: "m" base_path: "/models/m" } }')
        client.reload_config(server.requests[0].config)

        assert [request.config.model_config_list.config[0].name for request in server.requests] == ["m", "m"]

    def test_an_invalid_answer_is_an_error(self, scripted, connect):
        server = scripted()
        server.answers["PredictionService/Predict"] = b"\xff\xff\xff"

        with pytest.raises(SegueError, match="cannot be read"):
            connect(server.address).predict("m", {})


def test_wait_ready_waits_for_a_server_that_starts_later(shared_store):
    from serving.run_server import ModelServer
    from serving.server_config import ServerConfig

    port = free_port()
    ready = threading.Event()

    def wait():
        with Client(f"127.0.0.1:{port}") as client:
            client.wait_ready(["scale", "half"], timeout=20)
            ready.set()

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    assert not ready.is_set()
    with ModelServer(ServerConfig(shared_store / "models.config", port=port)):
        thread.join()
    assert ready.is_set()


def test_importing_the_clients_does_not_import_tensorflow():
    code = (
        "import sys\n"
        "import serving.client.sync_client, serving.client.async_client\n"
        "print([name for name in sys.modules if name.startswith('tensorflow')])"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert result.stdout.strip() == "[]"
