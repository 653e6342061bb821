"""The server of the hostile tests: a process of its own, so that its memory is measured apart from the tests'."""

import contextlib
import http.client
import re
import socket

import grpc
import pytest
import tensorflow as tf
from google.protobuf import text_format
from grpc import StatusCode

from benchmarks.serving.process import ending, free_port, rss_mb, start_server, wait_ready
from tests.serving.api.hostile import grpc_requests, rest_requests

# In the server's log. gRPC's own tracebacks are no bugs: it logs one when the client ends a call during the answer.
BUGS = re.compile(r'A request failed|cannot follow|Traceback .*\n(?!  File "src/python/grpcio/)')


def save_parse(path):
    """Save a model with three signatures.

    For examples with x, `serving_default` returns the score [x] and `regress` returns x; `total` adds up numbers.
    """
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], "examples")
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        inputs, output = {"inputs": v1.saved_model.build_tensor_info(examples)}, v1.saved_model.build_tensor_info(x)
        numbers = v1.placeholder(tf.float32, [None], "numbers")
        define, info = v1.saved_model.predict_signature_def, {"numbers": numbers}
        build, builder = v1.saved_model.build_signature_def, v1.saved_model.Builder(str(path))
        signatures = {
            "serving_default": build(inputs, {"scores": output}, "tensorflow/serving/classify"),
            "regress": build(inputs, {"outputs": output}, "tensorflow/serving/regress"),
            "total": define(info, {"total": tf.reduce_sum(numbers)}),
        }
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signature_def_map=signatures)
        builder.save()


class Server:
    """A `segue serve` process of `scale`, `half` and `parse`, with REST and metrics."""

    def __init__(self, process, address, rest_port, log, models):
        self.pid, self.address, self.log = process.pid, address, log
        self.rest = "127.0.0.1", rest_port
        self._process, self._models = process, models
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(address, unlimited)
        self._seen = 0  # characters of the log read so far
        self.rss = rss_mb(process.pid)  # MiB, at the start

    def call(self, method, request):
        """The status code and text of a gRPC call; the request is a message or its bytes."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        try:
            self.channel.unary_unary(method)(data, timeout=grpc_requests.SECONDS)
        except grpc.RpcError as error:
            return error.code(), error.details()
        return StatusCode.OK, ""

    def reload(self, *entries):
        """Reload with the initial models and further entries of a ModelConfigList, which are text protos."""
        text = " ".join(f"config {{ {entry} }}" for entry in [*self._models, *entries])
        message = grpc_requests.REQUESTS[grpc_requests.RELOAD]()
        request = text_format.Parse(f"config {{ model_config_list {{ {text} }} }}", message)
        return self.call(grpc_requests.RELOAD, request)

    def send(self, method, path, body=None, headers=()):
        """The status and body of the answer to a well-formed REST request."""
        connection = http.client.HTTPConnection(*self.rest, timeout=rest_requests.SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()

    def post(self, body, headers=()):
        """The status and body of the answer to a REST prediction by `scale`."""
        return self.send("POST", rest_requests.PREDICT, body, headers)

    def raw(self, data, patience=0.3):
        """The answer to some bytes, until the server ends the connection or is silent for `patience` seconds."""
        with socket.create_connection(self.rest, rest_requests.SECONDS) as connection:
            with contextlib.suppress(ConnectionError):  # the server may close before all is sent
                connection.sendall(data)
            connection.settimeout(patience)
            return rest_requests.received(connection)

    def check(self):
        """Check that the server answers, and has logged no bug since the last check."""
        assert self._process.poll() is None
        printed = self.log.read_text(errors="replace")
        since, self._seen = printed[self._seen :], len(printed)
        assert not BUGS.search(since)
        for method in (grpc_requests.PREDICT, grpc_requests.CLASSIFY):
            assert self.call(method, grpc_requests.valid(method)) == (StatusCode.OK, "")
        assert self.post(rest_requests.GOOD)[0] == 200


@pytest.fixture(scope="session")
def server_process(shared_store, tmp_path_factory):
    """One server for all hostile tests of a worker."""
    root = tmp_path_factory.mktemp("hostile")
    save_parse(root / "parse" / "1")
    paths = {"scale": shared_store / "scale", "half": shared_store / "half", "parse": root / "parse"}
    models = [f'name: "{name}" base_path: "{path}" model_platform: "tensorflow"' for name, path in paths.items()]
    (root / "models.config").write_text(f"model_config_list {{ {' '.join(f'config {{ {m} }}' for m in models)} }}")
    (root / "monitoring").write_text("prometheus_config { enable: true }")
    port, rest_port, log = free_port(), free_port(), root / "log"
    flags = [
        *(f"--model_config_file={root}/models.config", f"--monitoring_config_file={root}/monitoring"),
        *(f"--rest_api_port={rest_port}", f"--rest_api_timeout_in_ms={rest_requests.TIMEOUT * 1000:.0f}"),
        "--max_num_load_retries=0",
    ]
    with ending(start_server(port, flags, root, log)) as process:
        wait_ready(process, f"127.0.0.1:{port}", list(paths), log)
        server = Server(process, f"127.0.0.1:{port}", rest_port, log, models)
        yield server
        server.channel.close()


@pytest.fixture
def server(server_process):
    """The server, which is checked after each test."""
    yield server_process
    server_process.check()


@pytest.fixture
def reload(server):
    """`server.reload`. After the test the server is checked and its initial models are restored."""
    yield server.reload
    try:
        server.check()  # while the models of the test are configured
    finally:
        assert server.reload() == (StatusCode.OK, "")
