"""TFRecord files of `PredictionLog` messages, without TensorFlow.

A version's warm-up requests are in such a file, and request logging writes such files.

A record is a length (8 bytes, little-endian), the length's CRC, the data and the data's CRC. The CRC is CRC-32C with
TFRecord's mask (tensorflow/core/lib/hash/crc32c.h), which keeps it meaningful for data that contains CRCs itself.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
from google.protobuf.message import DecodeError

from segue import files
from segue.errors import InputError
from serving.protocol import protos, tensors

PredictionLog = protos.message("tensorflow.serving.PredictionLog", "tensorflow_serving/apis/prediction_log.proto")

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"  # in the folder of a version
MAX_WARMUP_RECORDS = 1000  # TF Serving refuses to load a version with more
MAX_RECORD_BYTES = 160 * 1024 * 1024  # a request and a response of at most 64 MiB each, and their metadata
OVERHEAD = 16  # bytes of a record in addition to its data


def write(path: Path, logs: Iterable[Any]) -> int:
    """Write `PredictionLog` messages to a TFRecord file, atomically.

    Returns:
        The number of records written.

    Raises:
        InputError: a message is larger than `MAX_RECORD_BYTES`.
    """
    count = 0
    with files.atomic_path(path) as temporary, temporary.open("wb") as file:
        for log in logs:
            file.write(frame(log))
            count += 1
    return count


def read(path: Path) -> Iterator[Any]:
    """The `PredictionLog` messages of a TFRecord file, one at a time.

    Raises:
        InputError: see `records`; or a record is not a `PredictionLog`.
    """
    for number, data in enumerate(records(path), 1):
        try:
            yield PredictionLog.FromString(data)
        except DecodeError:
            raise InputError(
                f"A record must be a PredictionLog message. Record {number} of {path} is not.", "Write the file again."
            ) from None


def records(path: Path) -> Iterator[bytes]:
    """The data of the records in a TFRecord file, one at a time; records before a damaged one are still returned.

    Raises:
        InputError: the file cannot be read, or a record is cut off, does not match its CRC or is larger than
            `MAX_RECORD_BYTES`. The text has the same offset as TensorFlow's error, in bytes.
    """
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; `with` here would catch the caller's OSErrors too
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from error
    with file:
        number = offset = 0
        while file.peek(1):
            number += 1
            try:
                (length,) = struct.unpack("<Q", _checked(file, 8, offset))
                if length > MAX_RECORD_BYTES:
                    raise _Damage(f"{length} bytes of data at {offset}, the limit is {MAX_RECORD_BYTES}")
                data = _checked(file, length, offset + 12)
            except _Damage as damage:
                raise InputError(f"{path}, record {number}: {damage}.", "Write the file again.") from None
            yield data
            offset += OVERHEAD + length


def frame(log: Any) -> bytes:
    """One `PredictionLog` as a record.

    Raises:
        InputError: the message is larger than `MAX_RECORD_BYTES`.
    """
    data = log.SerializeToString()
    if len(data) > MAX_RECORD_BYTES:
        raise InputError(
            f"A PredictionLog may have {MAX_RECORD_BYTES} bytes. This one has {len(data)}.",
            "Leave the response out or send fewer rows.",
        )
    length = struct.pack("<Q", len(data))
    return length + _crc(length) + data + _crc(data)


def predict_log(model: str, inputs: Mapping[str, Any], signature: str = "") -> Any:
    """The `PredictionLog` of a Predict request without a response, for a warm-up file.

    Args:
        model: the model's name.
        inputs: input name -> array, or anything that numpy can turn into one.
        signature: the signature's name; empty for the default one.

    Raises:
        TensorError: TensorProto has no form of an input's dtype.
    """
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, tensor in tensors.encode_all(inputs).items():
        request.inputs[name].CopyFrom(tensor)
    return log


def read_inputs(path: Path) -> list[dict[str, Any]]:
    """The inputs of the Predict requests in a TFRecord file: for each request, input name -> array.

    Raises:
        InputError: see `read`.
    """
    return [
        {name: tensors.decode(tensor) for name, tensor in log.predict_log.request.inputs.items()} for log in read(path)
    ]


class _Damage(Exception):
    """The error of a damaged record, in TensorFlow's words where it has the same error."""


def _checked(file: BinaryIO, size: int, offset: int) -> bytes:
    """The next `size` bytes, checked against the CRC that follows them."""
    data = file.read(size + 4)
    if len(data) != size + 4:
        raise _Damage(f"truncated record at {offset}")
    if _crc(data[:size]) != data[size:]:
        raise _Damage(f"corrupted record at {offset}")
    return data[:size]


def _crc(data: bytes) -> bytes:
    """The masked CRC-32C of `data`, as 4 bytes of the file."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
