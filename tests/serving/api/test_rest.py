"""The REST API.

Examples are from https://www.tensorflow.org/tfx/serving/api_rest; status codes and error texts are those of TF
Serving's model_servers/http_rest_api_handler.cc and http_server.cc.
"""

import asyncio
import gzip
import http.client
import json
import socket

import pytest
import tensorflow as tf

from serving.protocol.tensors import MAX_MESSAGE_BYTES
from serving.run_server import ModelServer, ServerConfig

SECONDS = 2.0  # timeout of the server
PREDICT = "/v1/models/half_plus_two:predict"


def _half_plus_two(path):
    """Save a model of y = 0.5 x + 2, for numbers and for tf.Examples, with signatures of strings and of two inputs."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x, text, image = (v1.placeholder(dtype, [None], name) for dtype, name in
                          ((tf.float32, "x"), (tf.string, "text"), (tf.string, "image")))  # fmt: skip
        examples = v1.placeholder(tf.string, [None], "examples")
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})
        y, y_of_example = 0.5 * x + 2.0, 0.5 * parsed["x"] + 2.0
        define, build = v1.saved_model.predict_signature_def, v1.saved_model.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def
        inputs = {"inputs": build(examples)}
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            signature_def_map={
                "serving_default": define({"x": x}, {"y": y}),
                "strings": define({"text": text}, {"text": text + "!", "text_bytes": tf.identity(text)}),
                "two": define({"x": x, "image": image}, {"y": y, "image_bytes": tf.identity(image)}),
                "total": define({"x": x}, {"total": tf.reduce_sum(x)}),
                "regress_x_to_y": signature(inputs, {"outputs": build(y_of_example)}, "tensorflow/serving/regress"),
                "classify_x_to_y": signature(inputs, {"scores": build(y_of_example)}, "tensorflow/serving/classify"),
            },
        )
        builder.save()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("rest")
    _half_plus_two(root / "half_plus_two" / "123")
    config = root / "models.config"
    config.write_text(
        "model_config_list { config { name: 'half_plus_two' model_platform: 'tensorflow' "
        f"base_path: '{root}/half_plus_two' version_labels {{ key: 'stable' value: 123 }} }} }}"
    )
    settings = ServerConfig(
        config, rest_port=0, rest_timeout_seconds=SECONDS, rest_cors=True, metrics_path="/monitoring/prometheus/metrics"
    )
    with ModelServer(settings) as running:
        yield running


@pytest.fixture
def call(server):
    """A function that sends a request and returns the answer's status, headers and text."""
    connection = http.client.HTTPConnection(server.rest_address, timeout=30)

    def send(method, path, body=None, headers=()):
        connection.request(
            method, path, body if body is None or isinstance(body, bytes) else json.dumps(body), dict(headers)
        )
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()

    yield send
    connection.close()


@pytest.fixture
def post(call):
    """A function that sends a POST request and returns the answer's status and JSON."""

    def send(path, body, headers=()):
        status, _, text = call("POST", path, body, headers)
        return status, json.loads(text)

    return send


def test_rows_and_columns_as_documented(call, post):
    status, headers, text = call("POST", PREDICT, {"instances": [1.0, 2.0, 5.0]})
    assert (status, text) == (200, '{"predictions":[2.5,3.0,4.5]}')
    assert headers["Content-Type"] == "application/json"
    assert post(PREDICT, {"inputs": [1.0, 2.0, 5.0]}) == (200, {"outputs": [2.5, 3.0, 4.5]})
    assert post(PREDICT, {"inputs": {"x": [1.0]}}) == (200, {"outputs": [2.5]})
    assert post(PREDICT, {"instances": [{"x": 1.0}, {"x": 2}]}) == (200, {"predictions": [2.5, 3.0]})


@pytest.mark.parametrize("choice", ["/versions/123", "/versions/000123", "/labels/stable"])
def test_a_version_or_a_label(post, choice):
    assert post(f"/v1/models/half_plus_two{choice}:predict", {"instances": [2]}) == (200, {"predictions": [3.0]})


def test_nan_and_infinity(call):
    _, _, text = call("POST", PREDICT, b'{"instances": [NaN, Infinity, -Infinity]}')
    assert text == '{"predictions":[NaN,Infinity,-Infinity]}'


def test_strings_and_bytes(post):
    rows = [{"b64": "/w=="}, {"b64": "aGk="}]
    status, answer = post(PREDICT, {"signature_name": "two", "instances": [{"x": 1, "image": row} for row in rows]})
    assert (status, answer) == (200, {"predictions": [{"image_bytes": row, "y": 2.5} for row in rows]})
    status, answer = post(PREDICT, {"signature_name": "strings", "inputs": ["é", {"b64": "aGk="}]})
    assert (status, answer) == (200, {"outputs": {"text": ["é!", "hi!"], "text_bytes": [{"b64": "w6k="}, rows[1]]}})


def test_classify_and_regress(post):
    body = {"signature_name": "classify_x_to_y", "examples": [{"x": 1.0}, {"x": [2.0]}]}
    assert post("/v1/models/half_plus_two:classify", body) == (200, {"results": [[["", 2.5]], [["", 3.0]]]})
    body = {"signature_name": "regress_x_to_y", "context": {"x": 5.0}, "examples": [{}, {"x": [2.0]}]}
    assert post("/v1/models/half_plus_two:regress", body) == (200, {"results": [4.5, 3.0]})


def test_large_numbers_of_rows(post):
    status, answer = post(PREDICT, {"instances": [float(x) for x in range(100_000)]})
    assert status == 200
    assert answer["predictions"][-1] == 0.5 * 99_999 + 2


def test_status(call):
    for choice in ("", "/versions/123", "/labels/stable"):
        status, headers, text = call("GET", f"/v1/models/half_plus_two{choice}")
        assert (status, headers["Content-Type"]) == (200, "application/json")
        version = {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        assert json.loads(text) == {"model_version_status": [version]}


def test_metadata(call):
    status, _, text = call("GET", "/v1/models/half_plus_two/labels/stable/metadata")
    assert status == 200
    document = json.loads(text)
    assert document["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "123"}
    signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signature["inputs"] == {"x": {"name": "x:0", "dtype": "DT_FLOAT", "tensor_shape": shape}}
    assert signature["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", PREDICT, f"Malformed request: GET {PREDICT}"),
        ("POST", "/v1/models/half_plus_two", "Malformed request: POST /v1/models/half_plus_two"),
        ("PUT", PREDICT, f"Malformed request: PUT {PREDICT}"),
        ("DELETE", "/v1/models/half_plus_two", "Malformed request: DELETE /v1/models/half_plus_two"),
        ("POST", "/v1/models/half_plus_two:PREDICT", "Malformed request: POST /v1/models/half_plus_two:PREDICT"),
        ("POST", f"{PREDICT}?x=1", f"Malformed request: POST {PREDICT}?x=1"),
        ("GET", "/v1/models/half_plus_two/versions/-1", "Malformed request: GET /v1/models/half_plus_two/versions/-1"),
        ("GET", "/v1/models", "Missing model name in request."),
        (
            "GET",
            "/v1/models/metadata/metadata/metadata",
            "Malformed request: GET /v1/models/metadata/metadata/metadata",
        ),
        ("GET", f"/v1/models/a/versions/{2**63}", f"Failed to convert version: {2**63} to numeric."),
        ("GET", f"/v1/models/a/versions/{'9' * 5000}", f"Failed to convert version: {'9' * 5000} to numeric."),
        ("GET", "/v1/models/%ff", "Failed to decode model name:%ff"),
        ("GET", "/v1/models/a/labels/%ff", "Failed to decode model version label:%ff"),
        ("GET", "/v1/models/half_plus_two/labels/canary", "Unrecognized servable version label: canary"),
        ("GET", "/v1/../etc/passwd", "Malformed request: GET /v1/../etc/passwd"),
        ("GET", "/v1/models/../half_plus_two", "Malformed request: GET /v1/models/../half_plus_two"),
    ],
)
def test_malformed_requests(call, method, path, text):
    status, headers, answer = call(method, path)
    assert (status, headers["Content-Type"]) == (400, "application/json")
    assert json.loads(answer) == {"error": text}


@pytest.mark.parametrize("name", ["nobody", "..%2f..%2fetc%2fpasswd", "half_plus_two%00", "%0d%0aX-A:", "..", "%2e%2e"])
def test_a_name_of_no_model(call, post, name):
    name = name.replace(":", "%3a")
    assert call("GET", f"/v1/models/{name}")[0] == 404
    assert call("GET", f"/v1/models/{name}/metadata")[0] == 404
    status, answer = post(f"/v1/models/{name}:predict", {"instances": [1]})
    assert status == 404
    assert answer["error"].startswith("Servable not found for request: Latest(")


@pytest.mark.parametrize("path", ["/", "/v1", "/index.html", "/v2/models/half_plus_two", "/v1%2fmodels/a"])
def test_paths_outside_the_api(call, path):
    status, headers, text = call("GET", path)
    assert (status, headers["Content-Type"]) == (404, "text/html")
    assert "<H1>Not Found</H1>" in text


def test_errors_of_the_body(post):
    assert post(PREDICT, b"") == (400, {"error": "JSON Parse error: The document is empty"})
    for body in (b"[" * 100_000, b'{"instances": ["\xff"]}'):
        status, answer = post(PREDICT, body)
        assert status == 400
        assert answer["error"].startswith("JSON Parse error: ")
    assert post(PREDICT, {"instances": [1], "signature_name": "none"}) == (
        400,
        {"error": 'Serving signature name: "none" not found in signature def'},
    )
    assert post(PREDICT, {"instances": [1, "a"]})[1]["error"].startswith("Failed to process element: 1 of 'instances'")
    assert post(PREDICT, {"signature_name": "total", "instances": [1, 2]}) == (
        400,
        {"error": "Tensor name: total has no shape information "},
    )
    assert post(PREDICT, {"signature_name": "total", "inputs": [1, 2]}) == (200, {"outputs": 3.0})
    assert post("/v1/models/half_plus_two:regress", {"signature_name": "none", "examples": [{}]}) == (
        400,
        {"error": "No signature was found with the name: none"},
    )


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-protobuf", "multipart/form-data; boundary=x", ""]
)
def test_the_content_type_is_ignored(post, content_type):
    assert post(PREDICT, {"instances": [1]}, {"Content-Type": content_type}) == (200, {"predictions": [2.5]})


def test_gzip(post):
    packed = gzip.compress(b'{"instances": [1]}')
    headers = {"Content-Encoding": "gzip"}
    empty = 400, {"error": "JSON Parse error: The document is empty"}
    assert post(PREDICT, packed, headers) == (200, {"predictions": [2.5]})
    assert post(PREDICT, b"no gzip", headers) == empty
    assert post(PREDICT, packed[:-10], headers) == empty
    assert post(PREDICT, gzip.compress(bytes(MAX_MESSAGE_BYTES + 1), 1), headers)[0] == 413


def test_other_origins(call, server):
    allowed = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST, GET",
        "Access-Control-Allow-Headers": "Content-Type",
    }
    for method, path in (("POST", PREDICT), ("GET", "/v1/models/half_plus_two")):
        _, headers, _ = call(method, path, b"")
        assert {name: headers[name] for name in allowed} == allowed
    status, headers, text = call("OPTIONS", PREDICT, headers={"Origin": "http://example.com"})
    assert (status, headers["Access-Control-Allow-Origin"], headers["Content-Type"], text) == (200, "*", None, "")
    assert call("OPTIONS", PREDICT)[::2] == (400, "")


def test_metrics(call):
    path = "/monitoring/prometheus/metrics"
    call("POST", PREDICT, {"instances": [1]})
    call("POST", PREDICT, b"{")
    call("POST", "/v1/models/nobody:predict", {"instances": [1]})
    status, headers, text = call("GET", path)
    assert (status, headers["Content-Type"]) == (200, "text/plain")
    lines = text.splitlines()
    assert any(line.startswith(':tensorflow:serving:request_latency_count{model_name="half_plus_two",API="predict",'
                               'entrypoint="REST"}') for line in lines)  # fmt: skip
    for labels in ('model_name="half_plus_two",status="INVALID_ARGUMENT"', 'model_name="",status="NOT_FOUND"'):
        assert any(line.startswith(f":tensorflow:serving:request_count{{{labels}}}") for line in lines)
    assert "nobody" not in text
    assert call("GET", f"{path}?a=1")[::2] == (400, f"Unexpected path: {path}?a=1. Should be {path}")


def test_a_body_that_is_too_large(server):
    host, port = server.rest_address.split(":")
    for sent in (
        b"Content-Length: %d\r\n\r\n" % (MAX_MESSAGE_BYTES + 1),
        b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + bytes(2**20) + b"\r\n") * 65,
    ):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\n" % PREDICT.encode() + sent)
            assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_arrive(server, call):
    host, port = server.rest_address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{" % PREDICT.encode())
        answer = b""
        while part := connection.recv(4096):  # ends when the server closes the connection
            answer += part
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 2 seconds" in answer
    assert call("GET", "/v1/models/half_plus_two")[0] == 200


def test_a_client_that_leaves(server, call):
    host, port = server.rest_address.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{" % PREDICT.encode())
    assert call("GET", "/v1/models/half_plus_two")[0] == 200


def test_an_answer_that_takes_too_long(server, post, monkeypatch):
    async def slow(*_):
        await asyncio.sleep(60)

    monkeypatch.setattr(server._service, "infer", slow)
    assert post(PREDICT, {"instances": [1]}) == (504, {"error": "Timed out waiting for notification"})


def test_the_answer_to_an_internal_error_has_no_stack_trace(server, post, monkeypatch):
    async def broken(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(server._service, "infer", broken)
    status, answer = post(PREDICT, {"instances": [1]})
    assert status == 500
    assert answer == {"error": "The server failed on this request; its log says why."}
