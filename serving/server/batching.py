"""Requests on their way to TensorFlow: off the event loop, and several to one call where batching is on.

The rules, names and texts are those of TF Serving's BatchingSession
(https://github.com/tensorflow/serving/blob/master/tensorflow_serving/batching/README.md), with two differences
that its users ask for. A request that finds its model idle is sent at once: `batch_timeout_micros` is waited
only while another batch of the model is running. And where a batch fails, each of its requests is tried alone,
so that one bad request does not fail its neighbours.
"""

import asyncio
import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from grpc import StatusCode

from serving.protocol.status import StatusError, invalid
from serving.server.metrics import Metrics

# Without batching a request has a thread to itself. Session calls release the interpreter's lock; more than
# the cores only so that a slow model does not hold up the others.
THREADS = 8

# Of one input. Padding multiplies: one long request among many short ones must not take all memory.
MAX_BATCH_BYTES = 256 * 1024 * 1024

# Turns of the event loop without a new request after which those that wait are sent, and the longest time to wait for
# such a lull.
LULLS = 4
LULL_SECONDS = 0.002

Arrays = list[np.ndarray]


class Model(Protocol):
    """What a batch is run on."""

    def run(self, feeds: Sequence[str], values: Sequence[np.ndarray], fetches: Sequence[str]) -> Arrays: ...


@dataclass(frozen=True)
class BatchingParameters:
    """TF Serving's batching parameters, with its defaults.

    Attributes:
        max_batch_size: rows in a batch at most.
        batch_timeout_micros: how long a request may wait for others while its model is busy.
        max_enqueued_batches: batches that may wait for a thread; more are refused with UNAVAILABLE.
        num_batch_threads: batches that run at once.
        allowed_batch_sizes: sizes that a batch is padded to, ascending, the last one `max_batch_size`; any
            size if empty.
        pad_variable_length_inputs: make the other dimensions of the requests equal: each is filled up with its
            own first element.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False


@dataclass
class _Task:
    values: Arrays
    answer: "asyncio.Future[Arrays]"
    done: Callable[[], object]
    since: float
    size: int = 0


@dataclass
class _Batch:
    tasks: list[_Task]
    size: int


@dataclass
class _Queue:
    """The batches of one call of one model that wait; only the last one is open."""

    name: str
    model: Model
    feeds: Sequence[str]
    fetches: Sequence[str]
    batches: deque[_Batch] = field(default_factory=deque)
    running: int = 0


class Scheduler:
    """Runs models on threads of its own, for the coroutines of one event loop.

    Args:
        parameters: how to batch; None for one call a request.
        metrics: where queue times, batch sizes and rejections are counted.
        clock: seconds.
    """

    def __init__(
        self,
        parameters: BatchingParameters | None,
        metrics: Metrics,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._parameters = parameters
        self._metrics = metrics
        self._clock = clock
        self._free = parameters.num_batch_threads if parameters else THREADS
        self._pool = ThreadPoolExecutor(self._free, thread_name_prefix="segue-serving-run")
        # Least recently served first. Only the event loop's thread touches it.
        self._queues: dict[tuple, _Queue] = {}
        self._settling = False
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None

    async def run(
        self,
        name: str,
        model: Model,
        feeds: Sequence[str],
        values: Arrays,
        fetches: Sequence[str],
        done: Callable[[], object],
    ) -> Arrays:
        """Run a model's graph; see `LoadedModel.run`.

        Args:
            name: the model's name, for metrics.
            done: called once the model is no longer used for this request, which is after the return if the
                caller was cancelled.

        Raises:
            StatusError: TensorFlow's own; or the input cannot be batched, or the queue is full.
        """
        loop = asyncio.get_running_loop()
        task = _Task(values, loop.create_future(), done, self._clock())
        try:
            if self._parameters is None:
                self._submit(loop, _Queue(name, model, feeds, fetches), _Batch([task], 0))
            else:
                self._enqueue(self._parameters, name, model, feeds, task, fetches)
                self._arrivals += 1
                self._settle(loop)
        except BaseException:
            done()
            raise
        return await task.answer

    def close(self) -> None:
        """End the threads when their calls have ended."""
        self._pool.shutdown()

    def _enqueue(
        self,
        parameters: BatchingParameters,
        name: str,
        model: Model,
        feeds: Sequence[str],
        task: _Task,
        fetches: Sequence[str],
    ) -> None:
        task.size = _rows(task.values, parameters.max_batch_size)
        # Requests whose rows differ in shape cannot share a tensor unless they are padded.
        shapes = None if parameters.pad_variable_length_inputs else tuple([value.shape[1:] for value in task.values])
        key = (id(model), feeds, fetches, shapes)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue(name, model, feeds, fetches)
        last = queue.batches[-1] if queue.batches else None
        if last is not None and last.size + task.size <= parameters.max_batch_size:
            last.tasks.append(task)
            last.size += task.size
        elif len(queue.batches) < parameters.max_enqueued_batches:
            queue.batches.append(_Batch([task], task.size))
        else:
            self._metrics.rejections.inc(name)
            raise StatusError(
                StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
            )

    def _settle(self, loop: asyncio.AbstractEventLoop) -> None:
        """Dispatch once the loop has turned `LULLS` times without bringing another request.

        What has reached this machine by then shares the call. A lone request waits for some turns of an idle loop:
        a few dozen microseconds.
        """
        if not self._settling and self._free:
            self._settling = True
            loop.call_soon(self._turn, loop, self._arrivals, 0, self._clock())

    def _turn(self, loop: asyncio.AbstractEventLoop, seen: int, lulls: int, since: float) -> None:
        lulls = lulls + 1 if seen == self._arrivals else 0
        if lulls < LULLS and self._clock() - since < LULL_SECONDS:
            loop.call_soon(self._turn, loop, self._arrivals, lulls, since)
        else:
            self._settling = False
            self._dispatch(loop)

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give every free thread a batch that is ready; come back when the next one will be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waits: list[float] = []
        while self._free:
            now = self._clock()
            waiting = {key: self._wait(queue, now) for key, queue in self._queues.items() if queue.batches}
            ready = next((key for key, wait in waiting.items() if wait <= 0), None)
            if ready is None:
                waits = list(waiting.values())
                break
            queue = self._queues.pop(ready)
            self._queues[ready] = queue
            batch = queue.batches.popleft()
            batch.tasks = [task for task in batch.tasks if not self._drop(task)]
            if batch.tasks:
                queue.running += 1
                self._submit(loop, queue, batch)
            elif not queue.running and not queue.batches:
                del self._queues[ready]
        if waits:
            self._timer = loop.call_later(min(waits), self._dispatch, loop)

    def _wait(self, queue: _Queue, now: float) -> float:
        """Seconds until the first batch of a queue is to be sent."""
        assert self._parameters is not None
        if not queue.running or len(queue.batches) > 1 or queue.batches[0].size >= self._parameters.max_batch_size:
            return 0.0
        return self._parameters.batch_timeout_micros / 1e6 - (now - queue.batches[0].tasks[0].since)

    @staticmethod
    def _drop(task: _Task) -> bool:
        """Whether nobody waits for a task any more; it is ended then."""
        abandoned = task.answer.cancelled()
        if abandoned:
            task.done()
        return abandoned

    def _submit(self, loop: asyncio.AbstractEventLoop, queue: _Queue, batch: _Batch) -> None:
        self._free -= 1

        def work() -> None:
            answers = self._execute(queue, batch)
            loop.call_soon_threadsafe(self._finish, loop, queue, batch, answers)

        self._pool.submit(work)

    def _finish(
        self, loop: asyncio.AbstractEventLoop, queue: _Queue, batch: _Batch, answers: Sequence[Arrays | Exception]
    ) -> None:
        """Hand out the answers, and the thread to the next batch."""
        self._free += 1
        queue.running -= 1
        for task, answer in zip(batch.tasks, answers, strict=True):
            task.done()
            if task.answer.cancelled():
                continue
            if isinstance(answer, Exception):
                task.answer.set_exception(answer)
            else:
                task.answer.set_result(answer)
        if self._parameters is not None:
            for key in [key for key, known in self._queues.items() if not known.batches and not known.running]:
                del self._queues[key]
            self._settle(loop)

    def _execute(self, queue: _Queue, batch: _Batch) -> list[Arrays | Exception]:
        """The answer, or its error, of each task of a batch. Runs on a thread of the pool."""
        try:
            if self._parameters is None:
                return [queue.model.run(queue.feeds, batch.tasks[0].values, queue.fetches)]
            return list(self._together(self._parameters, queue, batch.tasks))
        except Exception as error:
            if len(batch.tasks) == 1:
                return [error]
        return [self._execute(queue, _Batch([task], task.size))[0] for task in batch.tasks]

    def _together(self, parameters: BatchingParameters, queue: _Queue, tasks: Sequence[_Task]) -> list[Arrays]:
        began = self._clock()
        for task in tasks:
            self._metrics.queueing.observe((began - task.since) * 1e6, queue.name)
        size = sum(task.size for task in tasks)
        padded = next((allowed for allowed in parameters.allowed_batch_sizes if allowed >= size), size)
        self._metrics.batch_size.observe(padded, queue.name)
        self._metrics.padding.observe(padded - size, queue.name)
        columns = zip(*(task.values for task in tasks), strict=True)
        values = [_merged(column, padded - size) for column in columns]
        outputs = queue.model.run(queue.feeds, values, queue.fetches)
        for output in outputs:
            if not output.ndim:
                raise StatusError(StatusCode.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
            if len(output) != padded:
                raise StatusError(
                    StatusCode.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of "
                    "the input tensors",
                )
        ends = np.cumsum([task.size for task in tasks]).tolist()
        return [[output[end - task.size : end] for output in outputs] for task, end in zip(tasks, ends, strict=True)]


def _rows(values: Arrays, limit: int) -> int:
    """The 0th dimension that all the inputs of a request share."""
    if not values:
        raise invalid("Batching Run() must have at least one input tensor")
    if not all(value.ndim for value in values):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    size = len(values[0])
    if any(len(value) != size for value in values):
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    if size > limit:
        raise invalid(f"Task size {size} is larger than maximum input batch size {limit}")
    return size


def _merged(column: Sequence[np.ndarray], missing: int) -> np.ndarray:
    """One input of several requests, one under the other.

    Args:
        column: the arrays; where the dimensions after the 0th differ, they are padded to the largest.
        missing: rows to add at the end; they repeat the first row of the last array.
    """
    shape = tuple(map(max, zip(*(value.shape[1:] for value in column), strict=True)))
    if len(column) > 1 and math.prod(shape) * sum(map(len, column)) * column[0].itemsize > MAX_BATCH_BYTES:
        raise invalid(f"a batch holds at most {MAX_BATCH_BYTES} bytes")  # each request is tried alone then
    parts = [value if value.shape[1:] == shape else _padded(value, shape) for value in column]
    if missing:
        parts.append(np.repeat(parts[-1][:1], missing, axis=0))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _padded(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An array with its dimensions after the 0th grown to `shape`, filled with its own first element."""
    grown = np.full((len(value), *shape), value.flat[0], value.dtype)
    grown[tuple(slice(size) for size in value.shape)] = value
    return grown
