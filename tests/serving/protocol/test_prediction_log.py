"""TFRecord files of PredictionLogs: TensorFlow reads and writes the same files, and an error locates the damage."""

import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from segue.errors import InputError
from serving.protocol import prediction_log, tensors


def _logs(count):
    return [prediction_log.predict_log("scale", {"x": np.full((1, 2), i, np.float32)}) for i in range(count)]


@pytest.fixture
def path(tmp_path):
    """A file of three records of the same size."""
    path = tmp_path / "requests"
    prediction_log.write(path, _logs(3))
    return path


def test_written_records_can_be_read(tmp_path):
    path = tmp_path / "assets.extra" / "requests"  # write creates the folder
    logs = _logs(3)
    assert prediction_log.write(path, iter(logs)) == 3
    assert list(prediction_log.read(path)) == logs
    assert [p.name for p in path.parent.iterdir()] == ["requests"]


def test_no_records_are_an_empty_file(tmp_path):
    assert prediction_log.write(tmp_path / "none", []) == 0
    assert (tmp_path / "none").stat().st_size == 0
    assert list(prediction_log.read(tmp_path / "none")) == []


def test_a_failed_write_leaves_the_old_file(path):
    before = path.read_bytes()

    def logs():
        yield from _logs(1)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        prediction_log.write(path, logs())
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def test_a_predict_log_contains_the_request():
    log = prediction_log.predict_log("rank", {"id": ["a", "b"], "x": np.array([1.5, 2.5])}, "second")
    request = log.predict_log.request
    assert (request.model_spec.name, request.model_spec.signature_name) == ("rank", "second")
    assert tensors.decode(request.inputs["id"]).tolist() == [b"a", b"b"]
    assert tensors.decode(request.inputs["x"]).tolist() == [1.5, 2.5]
    assert not log.predict_log.HasField("response")


def test_tensorflow_reads_our_files(path):
    import tensorflow as tf

    read = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert read == [log.SerializeToString() for log in _logs(3)]


def test_we_read_tensorflows_files(tmp_path):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "scale"
    with tf.io.TFRecordWriter(str(tmp_path / "requests")) as writer:
        writer.write(log.SerializeToString())
    assert list(prediction_log.read(tmp_path / "requests")) == [log]


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda raw, size: raw[:-1], "truncated record at {data}"),
        (lambda raw, size: raw[: 2 * size + 14], "truncated record at {data}"),
        (lambda raw, size: raw[: 2 * size + 5], "truncated record at {start}"),
        (lambda raw, size: raw[:-1] + bytes([raw[-1] ^ 1]), "corrupted record at {data}"),
        (lambda raw, size: raw[: 2 * size] + b"\xff" + raw[2 * size + 1 :], "corrupted record at {start}"),
    ],
    ids=["cut CRC", "cut data", "cut length", "flipped CRC", "flipped length"],
)
def test_an_error_locates_a_damaged_record_and_those_before_it_are_read(path, damage, text):
    raw = path.read_bytes()
    size = len(raw) // 3
    path.write_bytes(damage(raw, size))
    logs = prediction_log.read(path)
    assert [next(logs), next(logs)] == _logs(2)
    with pytest.raises(InputError) as caught:
        next(logs)
    assert caught.value.headline == f"{path}, record 3: {text.format(start=2 * size, data=2 * size + 12)}."


def test_a_length_above_the_limit_takes_no_memory(path):
    length = struct.pack("<Q", 1 << 40)
    with path.open("ab") as file:
        file.write(length + prediction_log._crc(length) + b"x" * 100)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"record 4: 1099511627776 bytes of data at \d+, the limit is 167772160"):
        list(prediction_log.read(path))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_a_message_above_the_limit_is_not_written(path, monkeypatch):
    monkeypatch.setattr(prediction_log, "MAX_RECORD_BYTES", 10)
    before = path.read_bytes()
    with pytest.raises(InputError, match="may have 10 bytes"):
        prediction_log.write(path, _logs(1))
    assert path.read_bytes() == before


def test_an_error_names_a_record_that_is_not_a_prediction_log(tmp_path):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "requests")) as writer:
        writer.write(b"\x0a\xff no message")
    with pytest.raises(InputError, match=r"Record 1 of .*requests is not"):
        list(prediction_log.read(tmp_path / "requests"))


def test_an_error_names_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="absent cannot be read: No such file"):
        list(prediction_log.read(tmp_path / "absent"))


def test_the_module_does_not_import_tensorflow():
    code = "import sys, serving.protocol.prediction_log; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
