"""Request logging: a sample of requests and their responses, as TFRecord files of `PredictionLog` messages.

What ModelServerConfig's `logging_config` asks for. Stock TF Serving reads the setting but comes without a log
collector; here the types `""` and `file` are one that writes files: `<prefix>-<UTC time>-<8 hex digits>.tfrecord`.
No file holds more records than a warm-up file may, so any of them can be put into a version's folder as it is.

A file is whole once it has its name. Until then it is `.tmp-<name>`, locked by its writer, and readable up to the
last whole record; what a killed writer leaves is cut there and named when the next logger of that prefix starts.
"""

import contextlib
import fcntl
import glob
import logging
import queue
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from grpc import StatusCode

from segue import files
from segue.errors import InputError
from serving.protocol import prediction_log
from serving.protocol.status import StatusError, invalid

TYPES = ("", "file")
MAX_FILE_BYTES = 64 * 1024 * 1024  # a file is closed once it has this much
MAX_QUEUED_BYTES = 64 * 1024 * 1024  # above it, records are dropped until the disk catches up

log = logging.getLogger("segue.serving")


class RequestLogger:
    """Logs a sample of one model's requests, in a thread of its own: no request waits for it or fails by it.

    Records that the disk is too slow or too full for are dropped and counted; the log says so once.

    Args:
        config: a `tensorflow.serving.LoggingConfig`.
        clock: seconds since the epoch, for the records and the files' names.
        random: what sampling draws from.
        saved_model_tags: what the model was loaded with, for the records.

    Raises:
        StatusError: a sampling rate outside [0, 1], no prefix or one whose folder cannot be made
            (INVALID_ARGUMENT); an unknown type (NOT_FOUND).
    """

    def __init__(
        self,
        config: Any,
        clock: Callable[[], float],
        random: random.Random,
        saved_model_tags: Sequence[str] = ("serve",),
    ) -> None:
        prefix = _prefix(config)
        self.dropped = 0  # records
        self._sampling = config.sampling_config
        self._rate = config.sampling_config.sampling_rate
        self._clock = clock
        self._random = random
        self._tags = tuple(saved_model_tags)
        self._lock = threading.Lock()  # over the next two and `dropped`
        self._queued_bytes = 0
        self._closed = False
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(_Files(prefix, clock),), name="request-log", daemon=True
        )
        self._thread.start()

    def should_log(self) -> bool:
        """Draw: whether to log this request. Cheap; ask before taking anything for `log`."""
        return self._random.random() < self._rate

    def log(self, kind: str, request: Any, response: Any, model_spec: Any) -> None:
        """Take one record; both messages are copied, so they may change afterwards.

        Args:
            kind: `predict`, `classify`, `regress` or `multi_inference`.
            request: the request as it came.
            response: the response as it goes.
            model_spec: the `ModelSpec` that answered, with its version.
        """
        if self._queued_bytes >= MAX_QUEUED_BYTES:
            self._drop(f"{self._queued_bytes} bytes wait for the disk, the limit is {MAX_QUEUED_BYTES}")
            return
        record = prediction_log.PredictionLog()
        metadata = record.log_metadata
        metadata.model_spec.CopyFrom(model_spec)
        metadata.sampling_config.CopyFrom(self._sampling)
        metadata.saved_model_tags.extend(self._tags)
        metadata.timestamp_secs = int(self._clock())
        entry = getattr(record, f"{kind}_log")
        entry.request.CopyFrom(request)
        entry.response.CopyFrom(response)
        # Framed here, not in the thread: bytes make the queue's limit exact, and the interpreter's lock would let
        # neither run beside the other anyway.
        try:
            frame = prediction_log.frame(record)
        except InputError as error:
            self._drop(error.headline)
            return
        with self._lock:
            if not self._closed:
                self._queued_bytes += len(frame)
                self._queue.put(frame)
                return
        self._drop("the log is closed")

    def close(self) -> None:
        """Write what waits, name the open file, end the thread. Records that come later are dropped."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self, output: "_Files") -> None:
        """Write frames until `None` comes."""
        try:
            output.recover()
        except OSError as error:
            log.warning("The request logs of a former run keep their temporary names: %s.", error)
        while (frame := self._queue.get()) is not None:
            try:
                output.append(frame)
            except OSError as error:
                self._drop(str(error))
            with self._lock:
                self._queued_bytes -= len(frame)
        output.finish()

    def _drop(self, reason: str) -> None:
        with self._lock:
            self.dropped += 1
            first = self.dropped == 1
        if first:
            log.warning("Request logging drops records: %s. Requests go on; this is said once.", reason)


class _Files:
    """The files of a prefix; used by one thread."""

    def __init__(self, prefix: Path, clock: Callable[[], float]) -> None:
        self._prefix = prefix
        self._clock = clock
        self._path = Path()  # of the open file
        self._file: BinaryIO | None = None
        self._bytes = self._records = 0

    def append(self, frame: bytes) -> None:
        """Add a record; the file ends when it is full, or when the disk does not take the record whole.

        Raises:
            OSError: the record was not written; the next one goes to a new file.
        """
        file = self._file or self._open()
        try:
            if file.write(frame) != len(frame):
                raise OSError(f"{self._path} took only a part of a record, the disk may be full")
        except OSError:
            self.finish()
            raise
        self._bytes += len(frame)
        self._records += 1
        if self._bytes >= MAX_FILE_BYTES or self._records == prediction_log.MAX_WARMUP_RECORDS:
            self.finish()

    def finish(self) -> None:
        """Give the open file its name, if there is one."""
        if self._file is not None:
            with self._file as file:
                self._file = None
                _name(self._path, file, self._bytes)

    def recover(self) -> None:
        """Name what killed writers of the prefix left."""
        mine = f"{files.TEMPORARY}{glob.escape(self._prefix.name)}-*.tfrecord"
        for path in self._prefix.parent.glob(mine):
            # Not there or locked: it has a living writer.
            with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _name(path, file, _whole_bytes(path))

    def _open(self) -> BinaryIO:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        name = f"{files.TEMPORARY}{self._prefix.name}-{stamp}-{uuid.uuid4().hex[:8]}.tfrecord"
        self._path = self._prefix.parent / name
        self._file = self._path.open("xb", buffering=0)  # unbuffered: a kill costs the record being written
        self._bytes = self._records = 0
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._file


def _name(path: Path, file: BinaryIO, size: int) -> None:
    """Cut a file to its whole records and take the temporary prefix off its name.

    An empty one is left: it may be one that another writer has made and not locked yet.
    """
    if not size:
        return
    try:
        file.truncate(size)
        path.rename(path.with_name(path.name.removeprefix(files.TEMPORARY)))
    except OSError as error:
        log.warning("The request log %s keeps its temporary name: %s.", path, error)


def _whole_bytes(path: Path) -> int:
    """How many bytes of a file are whole records."""
    size = 0
    with contextlib.suppress(InputError):  # the torn end
        for data in prediction_log.records(path):
            size += len(data) + prediction_log.OVERHEAD
    return size


def _prefix(config: Any) -> Path:
    """The files' prefix in a checked LoggingConfig; its folder is made."""
    rate = config.sampling_config.sampling_rate
    if not 0.0 <= rate <= 1.0:
        raise invalid(f"Invalid sampling_rate: {rate}. It must be in the range [0.0, 1.0].")
    collector = config.log_collector_config
    if collector.type not in TYPES:
        raise StatusError(StatusCode.NOT_FOUND, f"Cannot find LogCollector::Factory for type: {collector.type}")
    prefix = Path(collector.filename_prefix)
    if not prefix.name:
        raise invalid("LogCollectorConfig::filename_prefix() must name files, e.g. /var/log/requests/ranking.")
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        raise invalid(f"LogCollectorConfig::filename_prefix() {prefix}: {error}.") from error
    return prefix
