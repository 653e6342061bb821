"""Run requests on models: on threads beside the event loop, and with batching several requests in one call.

The rules, names and error texts are those of TF Serving's BatchingSession
(https://github.com/tensorflow/serving/blob/master/tensorflow_serving/batching/README.md), with two differences:

- A request whose model is idle runs at once. TF Serving waits for `batch_timeout_micros` to fill the batch; here a
  request waits that long only while another batch of the model is running.
- If a batch fails, each of its requests runs again alone, so that one bad request does not fail the others.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from grpc import StatusCode

from serving.protocol.status import StatusError
from serving.server import batch_arrays
from serving.server.batch_arrays import Arrays
from serving.server.batching_parameters import BatchingParameters
from serving.server.metrics import Metrics

# Without batching each request runs on a thread of its own. A session call releases the interpreter's lock. There are
# more threads than cores on most machines, so that requests to a slow model do not hold up the others.
THREADS = 8

# Waiting requests are sent after this many turns of the event loop without a new request, or after this time.
QUIET_TURNS = 4
QUIET_SECONDS = 0.002


class Model(Protocol):
    """A model as the scheduler sees it: `LoadedModel` in the server, a stand-in in tests."""

    def run(self, feeds: Sequence[str], values: Sequence[np.ndarray], fetches: Sequence[str]) -> Arrays: ...


@dataclass
class _Task:
    """One request that waits for its model, and the future that takes its answer."""

    values: Arrays
    answer: "asyncio.Future[Arrays]"
    done: Callable[[], object]
    since: float
    size: int = 0


@dataclass
class _Batch:
    """Tasks that run in one call, and the sum of their rows."""

    tasks: list[_Task]
    size: int


@dataclass
class _Queue:
    """The waiting batches of one call of one model. New requests join the last batch only."""

    name: str
    model: Model
    feeds: Sequence[str]
    fetches: Sequence[str]
    batches: deque[_Batch] = field(default_factory=deque)
    running: int = 0


class Scheduler:
    """Runs models on its own threads, for the coroutines of one event loop.

    Args:
        parameters: the parameters of batching; None runs each request in a call of its own.
        metrics: counts queue times, batch sizes and rejections.
        clock: the time in seconds.
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
        # The least recently served queue comes first. Only the thread of the event loop uses this table.
        self._queues: dict[tuple, _Queue] = {}
        self._collecting = False
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
        """Run the graph of a model; see `LoadedModel.run`.

        Args:
            name: the name of the model, for metrics.
            model: the model.
            feeds, values, fetches: see `LoadedModel.run`.
            done: called when the request no longer uses the model. If the caller is cancelled, that is after this
                coroutine has ended.

        Raises:
            StatusError: TensorFlow's own status; or the inputs cannot be batched, or the queue is full.
        """
        loop = asyncio.get_running_loop()
        task = _Task(values, loop.create_future(), done, self._clock())
        try:
            if self._parameters is None:
                self._submit(loop, _Queue(name, model, feeds, fetches), _Batch([task], 0))
            else:
                self._enqueue(self._parameters, name, model, feeds, task, fetches)
                self._arrivals += 1
                self._collect(loop)
        except BaseException:
            done()
            raise
        return await task.answer

    def close(self) -> None:
        """Wait for the running calls and end the threads."""
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
        task.size = batch_arrays.rows(task.values, parameters.max_batch_size)
        # Requests whose rows have different shapes share a batch only if they are padded.
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

    def _collect(self, loop: asyncio.AbstractEventLoop) -> None:
        """Dispatch after `QUIET_TURNS` turns of the event loop without another request.

        Requests that have reached this machine by then share a batch. A single request waits for a few turns of an
        idle loop, which take some dozen microseconds.
        """
        if not self._collecting and self._free:
            self._collecting = True
            loop.call_soon(self._turn, loop, self._arrivals, 0, self._clock())

    def _turn(self, loop: asyncio.AbstractEventLoop, arrivals: int, quiet_turns: int, since: float) -> None:
        quiet_turns = quiet_turns + 1 if arrivals == self._arrivals else 0
        if quiet_turns < QUIET_TURNS and self._clock() - since < QUIET_SECONDS:
            loop.call_soon(self._turn, loop, self._arrivals, quiet_turns, since)
        else:
            self._collecting = False
            self._dispatch(loop)

    def _dispatch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give each free thread a batch that is ready, and set a timer for the next batch that will be."""
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
        """Seconds until the first batch of a queue is due; 0 or less if it is due now."""
        assert self._parameters is not None
        if not queue.running or len(queue.batches) > 1 or queue.batches[0].size >= self._parameters.max_batch_size:
            return 0.0
        return self._parameters.batch_timeout_micros / 1e6 - (now - queue.batches[0].tasks[0].since)

    @staticmethod
    def _drop(task: _Task) -> bool:
        """Whether the caller of a task was cancelled; the task is then ended without a run."""
        cancelled = task.answer.cancelled()
        if cancelled:
            task.done()
        return cancelled

    def _submit(self, loop: asyncio.AbstractEventLoop, queue: _Queue, batch: _Batch) -> None:
        self._free -= 1

        def work() -> None:
            answers = self._execute(queue, batch)
            loop.call_soon_threadsafe(self._finish, loop, queue, batch, answers)

        self._pool.submit(work)

    def _finish(
        self, loop: asyncio.AbstractEventLoop, queue: _Queue, batch: _Batch, answers: Sequence[Arrays | Exception]
    ) -> None:
        """Give each task its answer, and give the thread to the next batch."""
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
            for key in [key for key, other in self._queues.items() if not other.batches and not other.running]:
                del self._queues[key]
            self._collect(loop)

    def _execute(self, queue: _Queue, batch: _Batch) -> list[Arrays | Exception]:
        """Run a batch on a thread of the pool, and return the answer or the error of each task."""
        try:
            if self._parameters is None:
                return [queue.model.run(queue.feeds, batch.tasks[0].values, queue.fetches)]
            return list(self._together(self._parameters, queue, batch.tasks))
        except Exception as error:
            if len(batch.tasks) == 1:
                return [error]
        return [self._execute(queue, _Batch([task], task.size))[0] for task in batch.tasks]

    def _together(self, parameters: BatchingParameters, queue: _Queue, tasks: Sequence[_Task]) -> list[Arrays]:
        """Run tasks in one call of the model, and return the answer of each task."""
        began = self._clock()
        for task in tasks:
            self._metrics.queueing.observe((began - task.since) * 1e6, queue.name)
        size = sum(task.size for task in tasks)
        padded = next((allowed for allowed in parameters.allowed_batch_sizes if allowed >= size), size)
        self._metrics.batch_size.observe(padded, queue.name)
        self._metrics.padding.observe(padded - size, queue.name)
        columns = zip(*(task.values for task in tasks), strict=True)
        values = [batch_arrays.merged(column, padded - size) for column in columns]
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
