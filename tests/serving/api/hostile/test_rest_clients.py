"""Clients that make up names, are slow, or wait: they do not spoil the metrics or delay other clients."""

import base64
import contextlib
import http.client
import json
import re
import socket
import threading
import time

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from segue.errors import InputError
from serving.client.sync_client import Client
from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server_config import ServerConfig
from tests.serving.api.hostile.rest_requests import GOOD, PREDICT, SECONDS, head

METRICS = "/monitoring/prometheus/metrics"
SAMPLE = re.compile(r':[a-z_:]+(\{[a-zA-Z_]+="([^"\\]|\\.)*"(,[a-zA-Z_]+="([^"\\]|\\.)*")*\})? [0-9.e+-]+')


def test_the_metrics_stay_well_formed_and_short(server):
    """Names that clients made up are not in the metrics."""
    server.check()
    before = len(server.send("GET", METRICS)[1])
    for index in range(300):
        name = base64.b16encode(bytes([index % 256, index // 256, 34, 10, 92])).decode()
        encoded = "".join(f"%{name[at : at + 2]}" for at in range(0, len(name), 2)) if index % 2 else f"made{index}up"
        server.send("POST", f"/v1/models/{encoded}:predict", GOOD)
        server.send("GET", f"/v1/models/{encoded}/labels/{encoded}/metadata")
        server.send("POST", PREDICT, json.dumps({"signature_name": f"made{index}up", "instances": [[1, 2]]}))

    with Client(server.address) as client:
        for index in range(300):
            with pytest.raises(InputError):
                client.predict(f"made{index}up", {"x": np.ones((1, 2), np.float32)})

    text = server.send("GET", METRICS)[1].decode()
    assert "made" not in text
    assert len(text) < before * 1.2 + 1_000
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.fullmatch(line)


def test_a_request_in_two_parts_is_answered_at_once(server):
    """Most clients send head and body in separate packets. The second must not wait for a delayed acknowledgement."""
    times = []
    with socket.create_connection(server.rest, SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(30):
            began = time.perf_counter()
            connection.sendall(head(f"Content-Length: {len(GOOD)}"))
            connection.sendall(GOOD)
            answer = b""
            while not answer.endswith(b"]}"):
                part = connection.recv(65536)
                assert part, f"the connection ended after {answer}"
                answer += part
            times.append(time.perf_counter() - began)

    assert np.median(times) < 0.03  # seconds; a delayed acknowledgement takes 0.04


def test_slow_clients_do_not_slow_others(server):
    """100 requests arrive a byte at a time."""
    data, stop = head(f"Content-Length: {len(GOOD)}") + GOOD, threading.Event()

    def trickle():
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(socket.create_connection(server.rest, SECONDS)) for _ in range(100)]
            for at in range(len(data)):
                if stop.wait(0.1):
                    return
                for connection in slow:
                    with contextlib.suppress(ConnectionError):
                        connection.sendall(data[at : at + 1])

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        times = []
        connection = http.client.HTTPConnection(*server.rest, timeout=SECONDS)
        with contextlib.closing(connection), Client(server.address) as client:
            for _ in range(100):
                began = time.perf_counter()
                client.predict("scale", {"x": np.ones((1, 2), np.float32)})
                between = time.perf_counter()
                connection.request("POST", PREDICT, GOOD)
                assert connection.getresponse().read()
                times += [between - began, time.perf_counter() - between]
    finally:
        stop.set()
        thread.join()
    assert np.percentile(times, 99) < 0.25  # seconds; a few milliseconds on an idle machine


def test_reloads_that_wait_do_not_stop_large_requests(saved_models, shared_store, tmp_path):
    """Ten reloads wait for the next try of a model that does not load; a large body is answered meanwhile."""
    (tmp_path / "1").symlink_to(saved_models["corrupt"])
    models = [ModelConfig("scale", shared_store / "scale")]
    request = model_management_pb2.ReloadConfigRequest()
    for name, path in (("scale", shared_store / "scale"), ("corrupt", tmp_path)):
        request.config.model_config_list.config.add(name=name, base_path=str(path), model_platform="tensorflow")
    settings = ServerConfig(models=models, rest_port=0, rest_timeout_seconds=5)
    with ModelServer(settings) as running, grpc.insecure_channel(running.address) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        waiting = [stub.HandleReloadConfigRequest.future(request, timeout=SECONDS) for _ in range(10)]
        host, _, port = running.rest_address.partition(":")
        deadline = time.monotonic() + SECONDS
        while "corrupt" not in running._service.manager.models():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", PREDICT, b'{"instances": [' + b"[1,2]," * 20_000 + b"[1,2]]}")
            status = connection.getresponse().status
        for call in waiting:
            call.cancel()
    assert status == 200
