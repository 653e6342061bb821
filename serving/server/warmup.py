"""Warm-up: the requests that a version brings along are answered once before its first real one.

TensorFlow initializes parts of itself at the first call, so that the first requests of a version are slow. As TF
Serving does, a version's `assets.extra/tf_serving_warmup_requests` is replayed between loading and serving it.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from grpc import StatusCode

from segue.errors import InputError
from serving.protocol import prediction_log
from serving.protocol.status import StatusError, invalid

KINDS = ("predict", "classify", "regress", "multi_inference")

log = logging.getLogger("segue.serving")


def replay(
    folder: Path,
    run: Callable[[str, Any], None],
    iterations: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Answer the warm-up requests of a version; how many records and how long goes to the log.

    Args:
        folder: the version's folder; a version without a warm-up file is warm as it is.
        run: answers one request: its kind, one of `KINDS`, and the message. What it raises ends the replay.
        iterations: how often each request is run.
        clock: seconds, for the log.

    Returns:
        How many records were replayed.

    Raises:
        StatusError: the file is damaged (DATA_LOSS), holds a record that is no PredictionLog or more than
            `MAX_WARMUP_RECORDS` (INVALID_ARGUMENT), or a kind that cannot be replayed, such as session_run
            (UNIMPLEMENTED); each fails the load of the version, as in TF Serving.
    """
    path = Path(folder) / prediction_log.WARMUP_FILE
    if not path.exists():
        log.info("No warmup data file found at %s", path)
        return 0
    start, count = clock(), 0
    try:
        for data in prediction_log.records(path):
            count += 1
            if count > prediction_log.MAX_WARMUP_RECORDS:
                raise invalid(
                    f"Number of warmup records exceeds the maximum ({prediction_log.MAX_WARMUP_RECORDS}) at {path}"
                )
            record = _parse(data, count, path)
            field = record.WhichOneof("log_type")
            if field is None:
                continue  # TF Serving counts a record without a request and goes on
            kind = field.removesuffix("_log")
            if kind not in KINDS:
                number = record.DESCRIPTOR.fields_by_name[field].number
                raise StatusError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
            for _ in range(iterations):
                run(kind, getattr(record, field).request)
    except InputError as error:
        text = f"{error.headline} Please verify your warmup data is in TFRecord format."
        raise StatusError(StatusCode.DATA_LOSS, text) from None
    log.info(
        "Finished reading warmup data for model at %s. Number of warmup records read: %d. "
        "Elapsed time (microseconds): %d.",
        *(path, count, round((clock() - start) * 1e6)),
    )
    return count


def _parse(data: bytes, number: int, path: Path) -> Any:
    """The `PredictionLog` in a record."""
    try:
        return prediction_log.PredictionLog.FromString(data)
    except DecodeError:
        # TF Serving puts the record's bytes where the number is; a status is text, and theirs may be megabytes.
        raise invalid(f"Failed to parse warmup record: {number} from {path}") from None
