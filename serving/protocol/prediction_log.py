"""TFRecord files of `PredictionLog` messages, without TensorFlow: what warm-up replays and request logging writes.

A record is a length (8 bytes, little-endian), its CRC, the data and its CRC. A CRC is CRC-32C, masked as TFRecord
does (tensorflow/core/lib/hash/crc32c.h), so that the CRC of data that itself holds CRCs stays meaningful.
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

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"  # inside a version's folder
MAX_WARMUP_RECORDS = 1000  # TF Serving refuses to load a version that has more
MAX_RECORD_BYTES = 160 * 1024 * 1024  # a request and a response, each of at most 64 MiB, and what describes them
OVERHEAD = 16  # bytes of a record besides its data


def write(path: Path, logs: Iterable[Any]) -> int:
    """Write `PredictionLog` messages to a TFRecord file, atomically.

    Returns:
        How many records were written.

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
        InputError: see `records`; also a record that is no `PredictionLog`.
    """
    for number, data in enumerate(records(path), 1):
        try:
            yield PredictionLog.FromString(data)
        except DecodeError:
            raise InputError(
                f"A record holds one PredictionLog message. {path}, record {number} does not.", "Write the file anew."
            ) from None


def records(path: Path) -> Iterator[bytes]:
    """The data of the records in a TFRecord file, one at a time; those before a damaged one still come.

    Raises:
        InputError: the file cannot be read, or a record is cut off, differs from its CRC or is larger than
            `MAX_RECORD_BYTES`; the offset in the text is in bytes, and counted as TensorFlow counts it.
    """
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - closed below; an error of the caller's loop is not one of ours
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
                raise InputError(f"{path}, record {number}: {damage}.", "Write the file anew.") from None
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
            f"A PredictionLog has at most {MAX_RECORD_BYTES} bytes. Received one of {len(data)}.",
            "Leave the response out or send fewer rows.",
        )
    length = struct.pack("<Q", len(data))
    return length + _crc(length) + data + _crc(data)


def predict_log(model: str, inputs: Mapping[str, Any], signature: str = "") -> Any:
    """The log of a Predict request, as a warm-up file holds it.

    Args:
        model: the model's name.
        inputs: input name -> anything that numpy takes.
        signature: the signature's name; empty is the default one.

    Raises:
        TensorError: an input has a dtype that TensorProto does not have.
    """
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, tensor in tensors.encode_all(inputs).items():
        request.inputs[name].CopyFrom(tensor)
    return log


def read_inputs(path: Path) -> list[dict[str, Any]]:
    """The inputs of the Predict requests in a TFRecord file, name -> numpy array.

    Raises:
        InputError: see `read`.
    """
    return [
        {name: tensors.decode(tensor) for name, tensor in log.predict_log.request.inputs.items()} for log in read(path)
    ]


class _Damage(Exception):
    """What is wrong with a record, worded as TensorFlow words it."""


def _checked(file: BinaryIO, size: int, offset: int) -> bytes:
    """The next `size` bytes, after which their CRC stands."""
    data = file.read(size + 4)
    if len(data) != size + 4:
        raise _Damage(f"truncated record at {offset}")
    if _crc(data[:size]) != data[size:]:
        raise _Damage(f"corrupted record at {offset}")
    return data[:size]


def _crc(data: bytes) -> bytes:
    """The masked CRC-32C of `data`, as it stands in the file."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
