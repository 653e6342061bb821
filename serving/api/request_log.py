"""Request logging: a sample of requests and their responses, as TFRecord files of `PredictionLog` messages.

The `logging_config` of a ModelServerConfig switches it on. Stock TF Serving reads this setting but has no log
collector. Here the collector types `""` and `file` write files named `<prefix>-<UTC time>-<8 hex digits>.tfrecord`.
No file has more records than a warm-up file may have, so every file can serve as a version's warm-up file.

While a file is written, its name is `.tmp-<name>`, its writer holds a lock on it, and it can be read up to the last
whole record. It gets its final name when it is complete. If a writer was killed, the next logger of the same prefix
cuts the file after the last whole record and gives it its final name. A file without a whole record is removed.
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
MAX_FILE_BYTES = 64 * 1024 * 1024  # a file of this size is closed
MAX_QUEUED_BYTES = 64 * 1024 * 1024  # above this, records are dropped until the disk catches up

log = logging.getLogger("segue.serving")


class RequestLogger:
    """The request log of one model. A thread writes it, so that no request waits for the disk or fails because of it.

    Records are dropped and counted while the disk is too slow or full; the server's log mentions this once.

    Args:
        config: a `tensorflow.serving.LoggingConfig`.
        clock: returns the seconds since the epoch, for the records and the files' names.
        random: the random numbers that choose the sample.
        saved_model_tags: the tags that the model was loaded with, for the records.

    Raises:
        StatusError: the sampling rate is outside [0, 1], the prefix is missing, or its folder cannot be created
            (INVALID_ARGUMENT); or the collector type is unknown (NOT_FOUND).
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
        self._lock = threading.Lock()  # guards `_queued_bytes`, `_closed` and `dropped`
        self._queued_bytes = 0
        self._closed = False
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(_Files(prefix, clock),), name="request-log", daemon=True
        )
        self._thread.start()

    def should_log(self) -> bool:
        """Whether the next request is in the sample. It is cheap: call it before preparing the arguments of `log`."""
        return self._random.random() < self._rate

    def log(self, method: str, request: Any, response: Any, model_spec: Any) -> None:
        """Queue one record. The messages are copied, so the caller may change them afterwards.

        Args:
            method: `predict`, `classify`, `regress` or `multi_inference`.
            request: the request's message.
            response: the response's message.
            model_spec: the `ModelSpec` of the version that answered.
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
        entry = getattr(record, f"{method}_log")
        entry.request.CopyFrom(request)
        entry.response.CopyFrom(response)
        # Serialized here and not in the thread, because the queue's limit is in bytes. The thread would not save time:
        # Python's global lock lets only one of the two run at once.
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
        """Write the queued records, complete the open file and end the thread. Later records are dropped."""
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
            log.warning("Request logs of an earlier run keep their temporary names: %s.", error)
        while (frame := self._queue.get()) is not None:
            try:
                output.append(frame)
            except OSError as error:
                self._drop(str(error))
            with self._lock:
                self._queued_bytes -= len(frame)
        output.finish()

    def _drop(self, reason: str) -> None:
        """Count a dropped record; the first one is logged."""
        with self._lock:
            self.dropped += 1
            first = self.dropped == 1
        if first:
            log.warning("Request logging drops records: %s. Requests are answered as before. Logged once.", reason)


class _Files:
    """The files of a prefix. Only one thread may use an instance."""

    def __init__(self, prefix: Path, clock: Callable[[], float]) -> None:
        self._prefix = prefix
        self._clock = clock
        self._path = Path()  # of the open file
        self._file: BinaryIO | None = None
        self._bytes = self._records = 0

    def append(self, frame: bytes) -> None:
        """Add a record to the open file, and complete the file once it is full.

        Raises:
            OSError: the record was not written, or only in part; the next record goes to a new file.
        """
        file = self._file or self._open()
        try:
            if file.write(frame) != len(frame):
                raise OSError(f"only a part of a record fits into {self._path}, the disk may be full")
        except OSError:
            self.finish()
            raise
        self._bytes += len(frame)
        self._records += 1
        if self._bytes >= MAX_FILE_BYTES or self._records == prediction_log.MAX_WARMUP_RECORDS:
            self.finish()

    def finish(self) -> None:
        """Complete the open file, if there is one."""
        if self._file is not None:
            with self._file as file:
                self._file = None
                _complete(self._path, file, self._bytes)

    def recover(self) -> None:
        """Complete the log files of this prefix that a killed writer left unfinished."""
        pattern = f"{files.TEMPORARY}{glob.escape(self._prefix.name)}-*.tfrecord"
        for path in self._prefix.parent.glob(pattern):
            # A file that is locked, or that has just gone, belongs to a running writer.
            with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Another writer may have created an empty file and not locked it yet.
                if path.stat().st_size:
                    _complete(path, file, _whole_bytes(path))

    def _open(self) -> BinaryIO:
        """Start a new file, locked and with a temporary name."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        name = f"{files.TEMPORARY}{self._prefix.name}-{stamp}-{uuid.uuid4().hex[:8]}.tfrecord"
        self._path = self._prefix.parent / name
        # Unbuffered: if the process is killed, only the record being written is lost.
        self._file = self._path.open("xb", buffering=0)
        self._bytes = self._records = 0
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self._file


def _complete(path: Path, file: BinaryIO, size: int) -> None:
    """Complete a log file: keep its first `size` bytes, which are whole records, and give it its final name.

    A file without a whole record is removed. The caller has locked the file.
    """
    try:
        if size:
            file.truncate(size)
            path.rename(path.with_name(path.name.removeprefix(files.TEMPORARY)))
        else:
            path.unlink()
    except OSError as error:
        log.warning("The request log %s keeps its temporary name: %s.", path, error)


def _whole_bytes(path: Path) -> int:
    """The size in bytes of the whole records at the start of a file."""
    size = 0
    with contextlib.suppress(InputError):  # the record at the end is cut off
        for data in prediction_log.records(path):
            size += len(data) + prediction_log.OVERHEAD
    return size


def _prefix(config: Any) -> Path:
    """The files' prefix in a LoggingConfig, after the LoggingConfig is checked and the prefix's folder created."""
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
    except (OSError, ValueError) as error:  # ValueError: the prefix contains a NUL
        raise invalid(f"LogCollectorConfig::filename_prefix() {prefix}: {error}.") from error
    return prefix
