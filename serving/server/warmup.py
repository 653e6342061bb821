"""Warm-up: replay the recorded requests of a version before it answers real ones.

The first requests of a version are slow, because TensorFlow initializes parts of itself at the first call. As in TF
Serving, the requests in `assets.extra/tf_serving_warmup_requests` run after the version is loaded and before it serves.
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

METHODS = ("predict", "classify", "regress", "multi_inference")

log = logging.getLogger("segue.serving")


def replay(
    folder: Path,
    run: Callable[[str, Any], None],
    iterations: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Run the warm-up requests of a version, and log how many there were and how long they took.

    Args:
        folder: the folder of the version; without a warm-up file nothing is run.
        run: answers one request, given its method (one of `METHODS`) and its message; an exception ends the replay.
        iterations: how often each request is run.
        clock: the time in seconds, for the log.

    Returns:
        The number of records in the file.

    Raises:
        StatusError: DATA_LOSS if the file is damaged; INVALID_ARGUMENT if a record is not a PredictionLog or there
            are more than `MAX_WARMUP_RECORDS`; UNIMPLEMENTED for a method that cannot be replayed, e.g. session_run.
            Each of them fails the load of the version, as in TF Serving.
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
                continue  # TF Serving counts a record without a request, and skips it
            method = field.removesuffix("_log")
            if method not in METHODS:
                number = record.DESCRIPTOR.fields_by_name[field].number
                raise StatusError(StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
            for _ in range(iterations):
                run(method, getattr(record, field).request)
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
    """Parse a record as a `PredictionLog`."""
    try:
        return prediction_log.PredictionLog.FromString(data)
    except DecodeError:
        # TF Serving has the bytes of the record in place of its number. They may be megabytes, and a status is text.
        raise invalid(f"Failed to parse warmup record: {number} from {path}") from None
