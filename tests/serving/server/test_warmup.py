"""Warm-up replays the recorded requests of a version by TF Serving's rules."""

import logging

import numpy as np
import pytest
from grpc import StatusCode

from serving.protocol import prediction_log
from serving.protocol.status import StatusError
from serving.server import warmup


def _predict(value=0.0):
    return prediction_log.predict_log("scale", {"x": np.array([[value, 1.0]], np.float32)})


@pytest.fixture
def version(tmp_path):
    """A function that writes warm-up records into the folder of a version, and returns the folder."""
    folder = tmp_path / "scale" / "7"

    def write(*logs):
        prediction_log.write(folder / prediction_log.WARMUP_FILE, logs)
        return folder

    return write


@pytest.fixture
def calls():
    """The list of (method, request) that were run, and the callable that appends to it."""
    seen = []
    return seen, lambda method, request: seen.append((method, request))


def _failure(folder, run=lambda method, request: None):
    with pytest.raises(StatusError) as caught:
        warmup.replay(folder, run)
    return caught.value.code, caught.value.text


def test_every_method_is_replayed_in_order(version, calls):
    logs = [prediction_log.PredictionLog() for _ in warmup.METHODS]
    for method, record in zip(warmup.METHODS, logs, strict=True):
        getattr(record, f"{method}_log").request.SetInParent()
    logs[1].classify_log.request.model_spec.name = "scale"
    seen, run = calls
    assert warmup.replay(version(*logs), run) == 4
    assert [method for method, _ in seen] == list(warmup.METHODS)
    assert [type(request).__name__ for _, request in seen] == [
        *("PredictRequest", "ClassificationRequest", "RegressionRequest", "MultiInferenceRequest")
    ]
    assert seen[1][1] == logs[1].classify_log.request


def test_each_record_is_run_iterations_times(version, calls):
    seen, run = calls
    first, second = _predict(1.0), _predict(2.0)
    assert warmup.replay(version(first, second), run, iterations=3) == 2  # the number of records, not of runs
    assert [request for _, request in seen] == 3 * [first.predict_log.request] + 3 * [second.predict_log.request]


def test_the_number_of_records_and_the_time_are_logged(version, calls, caplog):
    folder = version(_predict(), _predict())
    times = iter([10.0, 10.25])
    with caplog.at_level(logging.INFO, "segue.serving"):
        warmup.replay(folder, calls[1], clock=lambda: next(times))
    assert caplog.messages == [
        f"Finished reading warmup data for model at {folder}/assets.extra/tf_serving_warmup_requests. "
        "Number of warmup records read: 2. Elapsed time (microseconds): 250000."
    ]


def test_without_a_warm_up_file_nothing_is_run(tmp_path, calls, caplog):
    with caplog.at_level(logging.INFO, "segue.serving"):
        assert warmup.replay(tmp_path, calls[1]) == 0
    assert caplog.messages == [f"No warmup data file found at {tmp_path}/assets.extra/tf_serving_warmup_requests"]


def test_a_file_holds_at_most_1000_records(version, calls):
    seen, run = calls
    assert warmup.replay(version(*[_predict()] * 1000), run) == 1000
    folder = version(*[_predict()] * 1001)
    assert _failure(folder, run) == (
        StatusCode.INVALID_ARGUMENT,
        f"Number of warmup records exceeds the maximum (1000) at {folder / prediction_log.WARMUP_FILE}",
    )
    assert len(seen) == 2000  # the first 1000 records of both files, and not number 1001


@pytest.mark.parametrize(("method", "number"), [("session_run", 5), ("predict_streamed", 7)])
def test_methods_that_cannot_be_replayed_are_refused(version, method, number):
    record = prediction_log.PredictionLog()
    getattr(record, f"{method}_log").SetInParent()
    assert _failure(version(record)) == (
        StatusCode.UNIMPLEMENTED,
        f"Unsupported log_type for warmup: {number}",
    )


def test_a_record_without_a_request_is_counted_and_not_run(version, calls):
    seen, run = calls
    assert warmup.replay(version(prediction_log.PredictionLog(), _predict()), run) == 2
    assert len(seen) == 1


def test_a_record_that_fails_ends_the_replay_with_its_status(version):
    ran = []

    def run(method, request):
        ran.append(method)
        raise StatusError(StatusCode.INTERNAL, "the graph says no")

    assert _failure(version(_predict(), _predict()), run) == (StatusCode.INTERNAL, "the graph says no")
    assert ran == ["predict"]


def test_a_truncated_file_is_data_loss(version):
    folder = version(_predict())
    path = folder / prediction_log.WARMUP_FILE
    path.write_bytes(path.read_bytes()[:-1])
    assert _failure(folder) == (
        StatusCode.DATA_LOSS,
        f"{path}, record 1: truncated record at 12. Please verify your warmup data is in TFRecord format.",
    )


def test_a_file_in_another_format_is_data_loss(version):
    folder = version(_predict())
    (folder / prediction_log.WARMUP_FILE).write_text("one request a line\n" * 3)
    code, text = _failure(folder)
    assert code is StatusCode.DATA_LOSS
    assert text.endswith("corrupted record at 0. Please verify your warmup data is in TFRecord format.")


def test_a_record_that_is_not_a_prediction_log_is_named_by_its_number(version):
    import tensorflow as tf

    folder = version(_predict())
    path = folder / prediction_log.WARMUP_FILE
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\x0a\xff no message")
    assert _failure(folder) == (StatusCode.INVALID_ARGUMENT, f"Failed to parse warmup record: 1 from {path}")


def test_requests_warm_up_a_loaded_model(version, saved_models):
    """A signature accepts the requests in the form in which they are replayed."""
    import tensorflow as tf

    from serving.protocol import tensors

    scale = tf.saved_model.load(str(saved_models["two"])).signatures["serving_default"]
    answers = []

    def run(method, request):
        inputs = {name: tf.constant(tensors.decode(proto)) for name, proto in request.inputs.items()}
        answers.append(scale(**inputs)["y"].numpy().tolist())

    assert warmup.replay(version(_predict(3.0)), run) == 1
    assert answers == [[[6.0, 2.0]]]  # y = 2x
