"""Request logging: sampled requests reach the disk, and no request waits for the log or fails because of it."""

import logging
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from grpc import StatusCode

from serving.api import request_log
from serving.protocol import prediction_log, protos, tensors
from serving.protocol.status import StatusError
from serving.server import warmup
from tests.support.soon import SECONDS

LoggingConfig = protos.message("tensorflow.serving.LoggingConfig", "tensorflow_serving/config/logging_config.proto")
ModelSpec = protos.message("tensorflow.serving.ModelSpec", "tensorflow_serving/apis/model.proto")
PredictResponse = protos.message("tensorflow.serving.PredictResponse", "tensorflow_serving/apis/predict.proto")
NOW = 1_700_000_000.5  # 2023-11-14 22:13:20 UTC

# A child process logs eight records of 20 kB to the prefix argv[1], then ends as argv[2] says: `kill`, or the bytes
# that a file may have.
CHILD = """
import os, random, resource, signal, sys, time
from serving.api import request_log
from serving.protocol import prediction_log, protos
config = protos.message("tensorflow.serving.LoggingConfig", "tensorflow_serving/config/logging_config.proto")()
config.log_collector_config.filename_prefix = sys.argv[1]
config.sampling_config.sampling_rate = 1.0
logger = request_log.RequestLogger(config, time.time, random.Random(0))
if sys.argv[2] != "kill":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
record = prediction_log.PredictionLog().predict_log
record.request.model_spec.name = "x" * 10_000
for _ in range(8):
    logger.log("predict", record.request, record.response, record.request.model_spec)
if sys.argv[2] == "kill":
    while logger._queued_bytes:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
logger.close()
print(logger.dropped)
"""


def _config(prefix, rate=1.0, type=""):
    config = LoggingConfig()
    config.log_collector_config.type = type
    config.log_collector_config.filename_prefix = str(prefix)
    config.sampling_config.sampling_rate = rate
    return config


@pytest.fixture
def prefix(tmp_path):
    return tmp_path / "logs" / "scale"


@pytest.fixture
def start(prefix):
    """Start a logger with the prefix; the end of the test closes it."""
    loggers = []

    def start(clock=lambda: NOW, **options):
        loggers.append(request_log.RequestLogger(_config(prefix, **options), clock, random.Random(0)))
        return loggers[-1]

    yield start
    for logger in loggers:
        logger.close()


def _log(logger, value=0.0):
    """Log and return a request for `x` and a response."""
    request = prediction_log.predict_log("scale", {"x": np.array([[value, 1.0]], np.float32)}).predict_log.request
    response = PredictResponse()
    response.model_spec.name = "scale"
    response.model_spec.version.value = 7
    response.outputs["y"].CopyFrom(tensors.encode(np.array([[value, 1.0]], np.float32)))
    logger.log("predict", request, response, response.model_spec)
    return request, response


def _files(prefix):
    return sorted(path.name for path in prefix.parent.iterdir())


def _read(prefix):
    return [log for path in sorted(prefix.parent.glob("scale-*")) for log in prediction_log.read(path)]


def _run_child(prefix, ending):
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(prefix), ending], timeout=60, capture_output=True, text=True, check=False
    )


def test_a_record_contains_request_response_and_metadata(start, prefix):
    logger = start()
    request, response = _log(logger)
    logger.close()
    (log,) = _read(prefix)
    assert log.predict_log.request == request
    assert log.predict_log.response == response
    metadata = log.log_metadata
    assert (metadata.model_spec.name, metadata.model_spec.version.value) == ("scale", 7)
    assert metadata.sampling_config.sampling_rate == 1.0
    assert list(metadata.saved_model_tags) == ["serve"]
    assert metadata.timestamp_secs == 1_700_000_000


@pytest.mark.parametrize("method", warmup.METHODS)
def test_every_method_is_logged(start, prefix, method):
    entry = getattr(prediction_log.PredictionLog(), f"{method}_log")
    logger = start()
    logger.log(method, entry.request, entry.response, ModelSpec(name="scale"))
    logger.close()
    assert [log.WhichOneof("log_type") for log in _read(prefix)] == [f"{method}_log"]


def test_a_file_has_a_temporary_name_until_it_is_complete(start, prefix, eventually):
    logger = start()
    _log(logger)
    eventually(lambda: not logger._queued_bytes)
    (part,) = _files(prefix)
    assert part.startswith(".tmp-scale-20231114T221320Z-")
    assert len(list(prediction_log.read(prefix.parent / part))) == 1
    logger.close()
    assert _files(prefix) == [part.removeprefix(".tmp-")]


def test_a_logger_that_logged_nothing_leaves_no_file(start, prefix):
    start().close()
    assert _files(prefix) == []


def test_a_log_warms_up_a_version(start, prefix, tmp_path):
    logger = start()
    requests = [_log(logger, value)[0] for value in (1.0, 2.0)]
    logger.close()
    target = tmp_path / "scale" / "8" / prediction_log.WARMUP_FILE
    target.parent.mkdir(parents=True)
    (prefix.parent / _files(prefix)[0]).rename(target)
    ran = []
    assert warmup.replay(tmp_path / "scale" / "8", lambda method, request: ran.append((method, request))) == 2
    assert ran == [("predict", request) for request in requests]


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILE_BYTES", 1), ("MAX_WARMUP_RECORDS", 1)])
def test_a_full_file_is_followed_by_another(start, prefix, monkeypatch, limit, value):
    module = request_log if hasattr(request_log, limit) else prediction_log
    monkeypatch.setattr(module, limit, value)
    logger = start()
    for number in range(3):
        _log(logger, number)
    logger.close()
    assert len(_files(prefix)) == 3
    assert all(len(list(prediction_log.read(path))) == 1 for path in prefix.parent.iterdir())


def test_no_file_has_more_records_than_a_warmup_file_may_have(start, prefix):
    logger = start()
    for _ in range(1001):
        _log(logger)
    logger.close()
    counts = sorted(len(list(prediction_log.read(path))) for path in prefix.parent.iterdir())
    assert counts == [1, prediction_log.MAX_WARMUP_RECORDS]


@pytest.mark.parametrize(("rate", "low", "high"), [(0.0, 0, 0), (0.1, 900, 1100), (1.0, 10_000, 10_000)])
def test_the_rate_is_the_share_of_logged_requests(start, rate, low, high):
    logger = start(rate=rate)
    assert low <= sum(logger.should_log() for _ in range(10_000)) <= high


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_outside_its_range_is_refused(prefix, rate):
    with pytest.raises(StatusError, match=r"Invalid sampling_rate: .* in the range \[0.0, 1.0\]") as caught:
        request_log.RequestLogger(_config(prefix, rate=rate), time.time, random.Random(0))
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


def test_an_unknown_type_is_refused_as_tf_serving_does(prefix):
    with pytest.raises(StatusError) as caught:
        request_log.RequestLogger(_config(prefix, type="bigquery"), time.time, random.Random(0))
    assert caught.value.code is StatusCode.NOT_FOUND
    assert caught.value.text == "Cannot find LogCollector::Factory for type: bigquery"


def test_a_prefix_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for prefix in ("", tmp_path / "file" / "scale"):
        with pytest.raises(StatusError, match="filename_prefix") as caught:
            request_log.RequestLogger(_config(prefix), time.time, random.Random(0))
        assert caught.value.code is StatusCode.INVALID_ARGUMENT
    assert not [thread for thread in threading.enumerate() if thread.name == "request-log"]


def test_a_slow_disk_drops_records_but_delays_no_request(start, prefix, monkeypatch, caplog, eventually):
    gate = threading.Event()
    append = request_log._Files.append

    def slow(self, frame):
        assert gate.wait(SECONDS)
        append(self, frame)

    monkeypatch.setattr(request_log._Files, "append", slow)
    logger = start()
    with caplog.at_level(logging.WARNING, "segue.serving"):
        _log(logger)
        monkeypatch.setattr(request_log, "MAX_QUEUED_BYTES", 2 * logger._queued_bytes)  # two records
        for number in range(1, 5):
            _log(logger, number)  # returns while the disk is blocked
    assert logger.dropped == 3
    assert len(caplog.messages) == 1
    assert "bytes wait for the disk" in caplog.text
    gate.set()
    eventually(lambda: not logger._queued_bytes)
    _log(logger, 5.0)
    logger.close()
    logged = [tensors.decode(log.predict_log.request.inputs["x"])[0, 0] for log in _read(prefix)]
    assert logged == [0.0, 1.0, 5.0]


def test_a_record_that_is_too_large_is_dropped(start, prefix, monkeypatch):
    monkeypatch.setattr(prediction_log, "MAX_RECORD_BYTES", 10)
    logger = start()
    _log(logger)
    logger.close()
    assert logger.dropped == 1
    assert _files(prefix) == []


def test_records_are_dropped_only_while_the_folder_is_missing(start, prefix, eventually):
    logger = start()
    prefix.parent.rmdir()
    _log(logger, 1.0)
    eventually(lambda: logger.dropped == 1)
    prefix.parent.mkdir()
    _log(logger, 2.0)
    logger.close()
    assert len(_read(prefix)) == 1


def test_a_closed_log_drops(start, prefix):
    logger = start()
    logger.close()
    logger.close()  # a second close does nothing
    _log(logger)
    assert logger.dropped == 1
    assert _files(prefix) == []


def test_a_disk_that_fills_up_inside_of_a_record_leaves_whole_files(prefix):
    ended = _run_child(prefix, "70000")  # files may have 70 kB, which is three and a half records
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "2"
    counts = [len(list(prediction_log.read(path))) for path in prefix.parent.iterdir()]
    assert counts == [3, 3]
    assert not any(name.startswith(".tmp-") for name in _files(prefix))


@pytest.mark.parametrize("limit", [0, 100])
def test_a_full_disk_leaves_no_file_without_a_record(prefix, limit):
    ended = _run_child(prefix, str(limit))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "8"
    assert _files(prefix) == []


def test_the_next_start_removes_what_a_killed_server_left_of_a_first_record(start, prefix):
    prefix.parent.mkdir()
    cut, opened = (prefix.with_name(f".tmp-scale-20231114T221320Z-{number}.tfrecord") for number in "01")
    cut.write_bytes(b"\x01\x02\x03")
    opened.touch()  # its writer may be about to lock it
    start().close()
    assert _files(prefix) == [opened.name]


def test_the_next_start_completes_the_file_of_a_killed_server(start, prefix):
    assert _run_child(prefix, "kill").returncode == -signal.SIGKILL
    (name,) = _files(prefix)
    assert name.startswith(".tmp-")
    with (prefix.parent / name).open("ab") as file:
        file.write(b"\x01\x02\x03")  # the record that was being written
    start().close()
    assert _files(prefix) == [name.removeprefix(".tmp-")]
    assert len(_read(prefix)) == 8


def test_the_open_file_of_another_logger_is_left_alone(start, prefix, eventually):
    first = start()
    _log(first, 1.0)
    eventually(lambda: not first._queued_bytes)
    start().close()
    assert [name.startswith(".tmp-") for name in _files(prefix)] == [True]
    _log(first, 2.0)
    first.close()
    assert len(_read(prefix)) == 2
