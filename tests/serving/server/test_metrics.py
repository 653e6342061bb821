"""The metrics page: the text format of Prometheus, with the names that dashboards for TF Serving use.

Names, labels and buckets come from TF Serving's util/prometheus_exporter.cc, servables/tensorflow/util.cc and
model_servers/http_server.cc, and from TensorFlow's cc/saved_model/loader.cc. One difference is intended: a value equal
to the bound of a bucket counts in that bucket, as Prometheus defines `le`. TF Serving counts it in the next bucket.
"""

import http.client
import json
import re
import threading

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import inference_pb2, predict_pb2, prediction_service_pb2_grpc, regression_pb2

from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server.batching_parameters import BatchingParameters
from serving.server.metrics import Counter, Histogram, Metrics
from serving.server_config import ServerConfig

PAGE = "/monitoring/prometheus/metrics"
SERVING = ":tensorflow:serving:"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{((?:{LABEL},?)*)\}})? ([0-9.e+-]+|NaN)")
ROW_OF_TEN = {"x": [[1.0] * 2] * 10}


def test_a_counter():
    counter = Counter("/tensorflow/serving/request_count", "Requests.", ("model_name", "status"))
    assert list(counter.lines()) == []

    counter.inc("m", "OK")
    counter.inc("m", "INTERNAL", by=2.5)
    counter.inc("m", "OK", by=2)
    counter.inc("a", "OK")
    assert list(counter.lines()) == [
        ':tensorflow:serving:request_count{model_name="a",status="OK"} 1',
        ':tensorflow:serving:request_count{model_name="m",status="INTERNAL"} 2.5',
        ':tensorflow:serving:request_count{model_name="m",status="OK"} 3',
    ]


def test_a_counter_without_labels():
    counter = Counter("/a/b", "Things.")
    counter.inc(by=1_000_000)

    assert list(counter.lines()) == [":a:b 1000000"]


def test_a_histogram():
    histogram = Histogram("/a", "Sizes.", ("model",), (1.0, 2.0, 4.0))
    for value in (0.5, 2.0, 3.0, 100.0):  # 1 value up to 1, 2 up to 2 (bound included), 3 up to 4
        histogram.observe(value, "m")

    assert list(histogram.lines()) == [
        ':a_bucket{model="m",le="1"} 1',
        ':a_bucket{model="m",le="2"} 2',
        ':a_bucket{model="m",le="4"} 3',
        ':a_bucket{model="m",le="+Inf"} 4',
        ':a_sum{model="m"} 105.5',
        ':a_count{model="m"} 4',
    ]


def test_label_values_are_escaped():
    counter = Counter("/a", "Things.", ("path",))
    counter.inc('C:\\models\n"new"')

    assert list(counter.lines()) == [r':a{path="C:\\models\n\"new\""} 1']


def test_no_count_is_lost_between_threads():
    counter, histogram = Counter("/a", "Things."), Histogram("/b", "Sizes.", (), (1.0,))

    def work():
        for _ in range(2_000):
            counter.inc()
            histogram.observe(0.5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(counter.lines()) == [":a 8000"]
    assert list(histogram.lines())[-1] == ":b_count 8000"


def test_the_page_of_a_server_without_requests():
    page = Metrics().render()

    names = set(re.findall(r"^# TYPE (\S+) (?:counter|histogram)$", page, re.MULTILINE))
    assert {
        f"{SERVING}{name}"
        for name in ("request_count", "request_latency", "runtime_latency", "request_example_counts",
                     "model_warmup_latency", "request_log_count", "batching_session:queuing_latency",
                     "batching_session:processed_batch_size", "batching_session:padding_size")
    } <= names  # fmt: skip
    assert page.endswith("\n")
    assert set(re.findall(r"^# HELP (\S+) \S", page, re.MULTILINE)) == names


def test_the_buckets_are_written_as_tf_serving_writes_them():
    metrics = Metrics()
    metrics.latency.observe(1.0, "m", "Predict", "GRPC")
    metrics.examples.observe(1.0, "m")

    bounds = re.findall(r'request_latency_bucket\{.*le="(.*)"\}', metrics.render())
    assert bounds[:7] == ["10", "18", "32.4", "58.32", "104.976", "188.957", "340.122"]
    assert len(bounds) == 34
    bounds = re.findall(r'request_example_counts_bucket\{.*le="(.*)"\}', metrics.render())
    assert bounds == [*(str(2**power) for power in range(15)), "+Inf"]


@pytest.fixture(scope="module")
def models(tmp_path_factory, shared_store):
    """The models `scale`, and `length`, whose Regress answers the size of each example in bytes."""
    v1, base = tf.compat.v1, tmp_path_factory.mktemp("length")
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = v1.placeholder(tf.string, [None], "inputs")
        signature = v1.saved_model.regression_signature_def(
            inputs, tf.cast(tf.strings.length(inputs), tf.float32, name="outputs")
        )
        builder = v1.saved_model.Builder(str(base / "1"))
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signature_def_map={"serving_default": signature}
        )
        builder.save()
    return [ModelConfig("scale", shared_store / "scale"), ModelConfig("length", base)]


class Caller:
    """A client of one server."""

    def __init__(self, server):
        self._server = server
        self._channel = grpc.insecure_channel(server.address)
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, name="scale", inputs=ROW_OF_TEN):
        """The status code of a Predict over gRPC."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value, tf.float32))
        try:
            return self.stub.Predict.with_call(request, timeout=20)[1].code()
        except grpc.RpcError as error:
            return error.code()

    def http(self, path, body=None):
        """The status and the text of the answer to an HTTP request: a POST if there is a body, else a GET."""
        connection = http.client.HTTPConnection(self._server.rest_address, timeout=20)
        try:
            connection.request("POST" if body else "GET", path, body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def samples(self):
        """The samples of the page, sample -> value; the format of each line is checked."""
        status, text = self.http(PAGE)
        assert status == 200
        lines = [line for line in text.splitlines() if not line.startswith("# ")]
        matches = [SAMPLE.fullmatch(line) for line in lines]
        assert all(matches), [line for line, match in zip(lines, matches, strict=True) if not match]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    def close(self):
        self._channel.close()


@pytest.fixture
def serve(models):
    """Start a server of `models`, and return its `Caller`."""
    stops = []

    def start(**settings):
        server = ModelServer(ServerConfig(models=models, rest_port=0, metrics_path=PAGE, **settings))
        server.start()
        stops.append(server.stop)
        caller = Caller(server)
        stops.append(caller.close)
        return caller

    yield start
    for stop in reversed(stops):
        stop()


def regression(count):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "length"
    for _ in range(count):
        request.input.example_list.examples.add()
    return request


def test_requests_are_counted_by_model_and_status(serve):
    caller = serve()
    for _ in range(3):
        assert caller.predict() is grpc.StatusCode.OK
    assert caller.predict(inputs={"z": [1.0]}) is grpc.StatusCode.INVALID_ARGUMENT
    for name in ("absent", 'another "absent"', ""):
        caller.predict(name)

    samples = caller.samples()
    counts = {key.partition("request_count")[2]: n for key, n in samples.items() if "serving:request_count{" in key}
    assert counts == {
        '{model_name="scale",status="OK"}': 3,
        '{model_name="scale",status="INVALID_ARGUMENT"}': 1,
        # Unknown model names are not used as labels, since there is no limit to their number.
        '{model_name="",status="NOT_FOUND"}': 2,
        '{model_name="",status="INVALID_ARGUMENT"}': 1,
    }
    labels = 'model_name="scale",API="Predict",entrypoint="GRPC"'
    assert samples[f"{SERVING}request_latency_count{{{labels}}}"] == 3  # successful requests only
    assert samples[f'{SERVING}request_latency_bucket{{{labels},le="+Inf"}}'] == 3
    assert 0 < samples[f"{SERVING}request_latency_sum{{{labels}}}"] < 60e6


def test_rest_requests_are_counted_too(serve):
    caller = serve()
    assert caller.http("/v1/models/scale:predict", json.dumps({"inputs": ROW_OF_TEN}))[0] == 200
    assert caller.http("/v1/models/scale:predict", "[")[0] == 400
    assert caller.http("/v1/models/scale")[0] == 200
    assert caller.http("/v1/models/absent")[0] == 404
    assert caller.http("/v1/nothing")[0] == 400

    samples = caller.samples()
    assert samples[f'{SERVING}request_count{{model_name="scale",status="OK"}}'] == 2
    assert samples[f'{SERVING}request_count{{model_name="scale",status="INVALID_ARGUMENT"}}'] == 1
    assert samples[f'{SERVING}request_count{{model_name="",status="NOT_FOUND"}}'] == 1
    assert samples[f'{SERVING}request_count{{model_name="",status="INVALID_ARGUMENT"}}'] == 1


def test_the_latency_of_rest_requests_has_tf_servings_labels(serve):
    caller = serve()
    assert caller.http("/v1/models/scale:predict", json.dumps({"inputs": ROW_OF_TEN}))[0] == 200

    labels = 'model_name="scale",API="predict",entrypoint="REST"'
    assert caller.samples()[f"{SERVING}request_latency_count{{{labels}}}"] == 1


def test_examples_are_counted(serve):
    caller = serve()
    caller.stub.Regress(regression(3), timeout=20)
    request = inference_pb2.MultiInferenceRequest(input=regression(2).input)
    request.tasks.add(model_spec={"name": "length"}, method_name="tensorflow/serving/regress")
    caller.stub.MultiInference(request, timeout=20)
    with pytest.raises(grpc.RpcError):
        caller.stub.Regress(regression(0), timeout=20)

    samples = caller.samples()
    name = f"{SERVING}request_example_counts"
    bounds = {le: samples[f'{name}_bucket{{model="length",le="{le}"}}'] for le in ("1", "2", "4", "+Inf")}
    assert bounds == {"1": 0, "2": 1, "4": 2, "+Inf": 2}
    assert samples[f'{name}_sum{{model="length"}}'] == 5
    for api in ("Regress", "MultiInference"):
        labels = f'model_name="length",API="{api}",entrypoint="GRPC"'
        assert samples[f"{SERVING}request_latency_count{{{labels}}}"] == 1


def test_the_number_of_examples_is_summed_under_tf_servings_name(serve):
    caller = serve()
    caller.stub.Regress(regression(3), timeout=20)

    assert caller.samples()[f'{SERVING}request_example_count_total{{model="length"}}'] == 3


def test_runs_of_tensorflow_are_timed_by_api(serve):
    caller = serve()
    caller.predict()

    labels = 'model_name="scale",API="Predict",runtime="TF1"'
    assert caller.samples()[f"{SERVING}runtime_latency_count{{{labels}}}"] == 1


def test_batches_are_measured(serve):
    caller = serve(batching=BatchingParameters(max_batch_size=16, allowed_batch_sizes=(16,)))
    caller.predict()

    samples, of = caller.samples(), f"{SERVING}batching_session:"
    assert samples[f'{of}processed_batch_size_sum{{model_name="scale"}}'] == 16
    assert samples[f'{of}padding_size_sum{{model_name="scale"}}'] == 6
    assert samples[f'{of}queuing_latency_count{{model_name="scale"}}'] == 1


def test_loading_is_counted(serve, models):
    samples, path = serve().samples(), models[1].base_path / "1"

    assert samples[f':tensorflow:cc:saved_model:load_latency{{model_path="{path}"}}'] > 0
    attempts = f':tensorflow:cc:saved_model:load_attempt_count{{model_path="{path}",status="success"}}'
    assert samples[attempts] == 1  # a failed load has the status "fail"
