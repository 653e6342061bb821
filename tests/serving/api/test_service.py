"""Request logging in a running server: it follows `logging_config`, and its files work as warm-up files.

Rules and error texts are those of TF Serving's core/server_request_logger.cc, core/request_logger.cc,
core/log_collector.cc and model_servers/server_core.cc.
"""

import logging
import shutil
import threading

import grpc
import pytest
import tensorflow as tf
from google.protobuf import text_format
from grpc import StatusCode
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.protocol import prediction_log
from serving.run_server import ModelServer
from serving.server.label_rules import LABELS_AVAILABLE
from serving.server.manager import Retries
from serving.server_config import ServerConfig
from tests.support.failures import grpc_failure

METHOD = "tensorflow/serving/{}"
SECONDS = 20


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A SavedModel that answers every method with the size of each example, in bytes."""
    v1, path = tf.compat.v1, tmp_path_factory.mktemp("length") / "saved"
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = v1.placeholder(tf.string, [None], "inputs")
        length = tf.cast(tf.strings.length(inputs), tf.float32)
        signatures = {
            "serving_default": v1.saved_model.predict_signature_def({"inputs": inputs}, {"length": length}),
            "classify": v1.saved_model.classification_signature_def(inputs, None, length[:, None]),
            "regress": v1.saved_model.regression_signature_def(inputs, length),
        }
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signature_def_map=signatures)
        builder.save()
    return path


@pytest.fixture
def base(tmp_path, saved):
    """The base path of `m`, with version 1."""
    shutil.copytree(saved, tmp_path / "m" / "1")
    return tmp_path / "m"


@pytest.fixture
def logs(tmp_path):
    """The prefix of the request logs."""
    return tmp_path / "logs" / "requests"


def logging_text(prefix, rate=1.0, collector="file"):
    """A `logging_config` as the text of a model config file."""
    return (
        f'logging_config {{ log_collector_config {{ type: "{collector}" filename_prefix: "{prefix}" }} '
        f"sampling_config {{ sampling_rate: {rate} }} }}"
    )


def config_text(base, *more):
    """The text of a model config file with the model `m`."""
    text = "\n".join(more)
    return f'model_config_list {{ config {{ name: "m" base_path: "{base}" model_platform: "tensorflow" {text} }} }}'


@pytest.fixture
def serve(tmp_path):
    """A function that starts a server with the text of a model config file; it returns the server and a channel."""
    stops = []

    def start(text):
        path = tmp_path / "models.config"
        path.write_text(text)
        server = ModelServer(
            ServerConfig(path, file_system_poll_wait_seconds=0.05, retries=Retries(0), labels=LABELS_AVAILABLE)
        )
        stops.append(server.stop)
        server.start()
        channel = grpc.insecure_channel(server.address)
        stops.append(channel.close)
        return server, channel

    yield start
    for stop in reversed(stops):
        stop()


def reload(channel, text):
    """Send another model config to the server."""
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(text, request.config)
    model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=SECONDS)


def predict(channel, signature="", **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.model_spec.signature_name = signature
    for key, value in (inputs or {"inputs": [b"four"]}).items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request, prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=SECONDS)


def one_of_each(channel):
    """Send a request of every method; method -> (request, response)."""
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    sent = {"predict": predict(channel)}
    classify = classification_pb2.ClassificationRequest(model_spec={"name": "m", "signature_name": "classify"})
    regress = regression_pb2.RegressionRequest(model_spec={"name": "m", "signature_name": "regress"})
    multi = inference_pb2.MultiInferenceRequest()
    for signature in ("regress", "classify"):
        task = multi.tasks.add(method_name=METHOD.format(signature))
        task.model_spec.name, task.model_spec.signature_name = "m", signature
    calls = {"classify": (classify, stub.Classify), "regress": (regress, stub.Regress)}
    for method, (request, call) in (calls | {"multi_inference": (multi, stub.MultiInference)}).items():
        request.input.example_list.examples.add()
        sent[method] = request, call(request, timeout=SECONDS)
    return sent


def files(prefix):
    """The finished log files."""
    return sorted(prefix.parent.glob(f"{prefix.name}-*.tfrecord"))


def records(prefix):
    """All records in the finished log files."""
    return [record for path in files(prefix) for record in prediction_log.read(path)]


def test_requests_of_every_method_are_logged_with_their_responses(base, logs, serve):
    server, channel = serve(config_text(base, logging_text(logs)))
    sent = one_of_each(channel)
    server.stop()

    logged = records(logs)
    assert [record.WhichOneof("log_type") for record in logged] == [f"{method}_log" for method in sent]
    for record, (method, (request, response)) in zip(logged, sent.items(), strict=True):
        entry = getattr(record, f"{method}_log")
        # Compared as bytes, so that the classes of the messages do not matter.
        assert entry.request.SerializeToString(deterministic=True) == request.SerializeToString(deterministic=True)
        assert entry.response.SerializeToString(deterministic=True) == response.SerializeToString(deterministic=True)
        metadata = record.log_metadata
        assert (metadata.model_spec.name, metadata.model_spec.version.value) == ("m", 1)
        assert metadata.sampling_config.sampling_rate == 1.0
        assert list(metadata.saved_model_tags) == ["serve"]
        assert metadata.timestamp_secs > 1_600_000_000


def test_requests_that_fail_are_not_logged(base, logs, serve):
    server, channel = serve(config_text(base, logging_text(logs)))
    grpc_failure(predict, channel, "absent")
    grpc_failure(predict, channel, "", other=[1.0])
    predict(channel)
    server.stop()

    assert len(records(logs)) == 1


def test_a_log_works_as_the_warm_up_of_the_next_version(base, logs, saved, serve, caplog, eventually):
    caplog.set_level(logging.INFO, "segue.serving")
    server, channel = serve(config_text(base, logging_text(logs)))
    one_of_each(channel)
    server.stop()
    (log,) = files(logs)
    making = base.with_name("making")
    shutil.copytree(saved, making)
    (making / prediction_log.WARMUP_FILE).parent.mkdir()
    shutil.copy(log, making / prediction_log.WARMUP_FILE)
    making.rename(base / "2")

    server, channel = serve(config_text(base, logging_text(logs)))
    assert predict(channel)[1].model_spec.version.value == 2
    assert f"warmup data for model at {base / '2' / prediction_log.WARMUP_FILE}. Number of warmup records read: 4." in (
        caplog.text
    )
    server.stop()
    assert len(records(logs)) == 4 + 1  # warm-up requests are not logged


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0, 0), (0.5, 55, 145)])
def test_a_sample_is_logged(base, logs, serve, rate, low, high):
    """Of 200 requests at a rate of 0.5, about 100 are logged; the limits are six standard deviations, of 7, away."""
    server, channel = serve(config_text(base, logging_text(logs, rate)))
    for _ in range(200):
        predict(channel)
    server.stop()

    assert low <= len(records(logs)) <= high


def test_a_reload_starts_moves_and_ends_logging(base, logs, serve, eventually):
    server, channel = serve(config_text(base))
    predict(channel)
    other = logs.with_name("other")

    reload(channel, config_text(base, logging_text(logs)))
    predict(channel)
    reload(channel, config_text(base, logging_text(logs)))  # the same log stays open
    predict(channel)
    reload(channel, config_text(base, logging_text(other)))
    predict(channel)
    assert len(files(logs)) == 1  # the first log is complete once another has replaced it
    reload(channel, config_text(base))
    predict(channel)
    assert (len(records(logs)), len(records(other))) == (2, 1)
    server.stop()
    assert (len(records(logs)), len(records(other))) == (2, 1)


@pytest.mark.parametrize(
    ("wrong", "code", "text"),
    [
        ({"collector": "kafka"}, StatusCode.NOT_FOUND, "Cannot find LogCollector::Factory for type: kafka"),
        ({"rate": 1.5}, StatusCode.INVALID_ARGUMENT, "Invalid sampling_rate: 1.5. It must be in the range [0.0, 1.0]."),
    ],
)
def test_a_log_that_cannot_be_opened_changes_nothing(base, logs, serve, wrong, code, text):
    server, channel = serve(config_text(base, logging_text(logs)))

    assert grpc_failure(reload, channel, config_text(base / "elsewhere", logging_text(logs, **wrong))) == (code, text)
    predict(channel)
    server.stop()
    assert len(records(logs)) == 1


def test_a_refused_config_does_not_change_the_logging(base, logs, serve):
    server, channel = serve(config_text(base, logging_text(logs)))

    refused = config_text(base, 'version_labels { key: "stable" value: 9 }')
    assert grpc_failure(reload, channel, refused)[0] is StatusCode.FAILED_PRECONDITION
    predict(channel)
    server.stop()
    assert len(records(logs)) == 1


def test_a_refused_config_leaves_no_thread(base, logs, serve):
    _, channel = serve(config_text(base))
    before = set(threading.enumerate())
    first = config_text(base, logging_text(logs))
    second = config_text(base, logging_text(logs, collector="kafka")).replace('"m"', '"n"')

    assert grpc_failure(reload, channel, first.removesuffix(" }") + second.removeprefix("model_config_list {"))[0] is (
        StatusCode.NOT_FOUND
    )
    assert [thread for thread in set(threading.enumerate()) - before if thread.name == "request-log"] == []


def test_stopping_leaves_no_thread(base, logs, serve, eventually):
    before = set(threading.enumerate())
    server, channel = serve(config_text(base, logging_text(logs)))
    one_of_each(channel)
    server.stop()
    channel.close()

    ours = ("segue-serving", "request-log", "asyncio")
    eventually(lambda: not [t for t in set(threading.enumerate()) - before if t.name.startswith(ours) and t.is_alive()])
