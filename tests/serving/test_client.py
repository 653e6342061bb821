"""The client: what it does with failures, and with time."""

import socket
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from segue.errors import InputError, UnavailableError
from serving.client import Client


class Scripted(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Ends each call in the next status of a list, then answers."""

    def __init__(self, codes):
        self.codes, self.calls = list(codes), 0

    def Predict(self, request, context):
        self.calls += 1
        if self.codes:
            context.abort(self.codes.pop(0), "as scripted")
        return predict_pb2.PredictResponse()


@pytest.fixture
def scripted():
    """Start a server that fails as told; returns its servicer and a client of it."""
    started = []

    def start(*codes):
        servicer, server = Scripted(codes), grpc.server(futures.ThreadPoolExecutor(2))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        client = Client(f"127.0.0.1:{port}")
        started.append((server, client))
        return servicer, client

    yield start
    for server, client in started:
        client.close()
        server.stop(None).wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_unavailable_is_tried_again(scripted):
    servicer, client = scripted(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)

    assert client.predict("m", {}) == {}
    assert servicer.calls == 3


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InputError),
        (grpc.StatusCode.NOT_FOUND, InputError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, UnavailableError),
    ],
)
def test_anything_else_is_not(scripted, code, error):
    servicer, client = scripted(code)

    with pytest.raises(error, match="as scripted"):
        client.predict("m", {})
    assert servicer.calls == 1


def test_no_server_is_unavailable_within_the_timeout():
    began = time.monotonic()

    with (
        Client(f"127.0.0.1:{free_port()}") as client,
        pytest.raises(UnavailableError, match="gave no answer"),
    ):
        client.predict("m", {"x": np.zeros(1)}, timeout=0.5)
    assert time.monotonic() - began < 2


def test_wait_ready_waits_for_a_server_that_comes_late(shared_store):
    from serving.server import ModelServer, ServerConfig

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


def test_wait_ready_says_what_is_missing(client):
    with pytest.raises(UnavailableError, match="Could not find any versions of model nope"):
        client.wait_ready(["scale", "nope"], timeout=0.3)


def test_a_version_and_a_label_at_once_are_rejected(client, x):
    with pytest.raises(InputError, match="a version or a label, not both"):
        client.predict("scale", {"x": x}, version=1, label="stable")


def test_an_input_that_cannot_be_sent_is_named(client):
    with pytest.raises(InputError, match="input 'x': dtype datetime64"):
        client.predict("scale", {"x": np.array(["2024"], "datetime64[Y]")})
