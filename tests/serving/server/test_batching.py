"""Batching: which requests share a call, wait or are refused.

The error texts are those of tensorflow_serving/batching/batching_session.cc.
"""

import asyncio
import threading
from collections import Counter

import numpy as np
import pytest
from grpc import StatusCode

from serving.protocol.status import StatusError
from serving.server.batching import Scheduler
from serving.server.batching_parameters import BatchingParameters
from serving.server.metrics import Metrics
from tests.support.soon import SECONDS


class Doubler:
    """A model that doubles its input and records its batches.

    Each call waits for `gate`, and fails if the batch has a negative number.
    """

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []
        self.gate = threading.Event()
        self.gate.set()

    def run(self, feeds, values, fetches):
        self.batches.append(values[0])
        assert self.gate.wait(SECONDS)
        if values[0].dtype != object and (values[0] < 0).any():
            raise StatusError(StatusCode.INVALID_ARGUMENT, "a negative number")
        return [values[0] * 2 if values[0].dtype != object else values[0]]


def column(*numbers):
    return np.array(numbers, np.float32)


class Bench:
    """A scheduler with its model, and the calls that tests make."""

    def __init__(self, **parameters) -> None:
        self.metrics, self.model = Metrics(), Doubler()
        self.scheduler = Scheduler(BatchingParameters(**parameters) if parameters else None, self.metrics)
        self.released = 0

    def release(self) -> None:
        self.released += 1

    async def ask(self, *values):
        arrays = [value if isinstance(value, np.ndarray) else column(value) for value in values]
        return await self.scheduler.run("m", self.model, ("x:0",), arrays, ("y:0",), self.release)

    async def together(self, *requests):
        """The answers to requests that arrive while the model is busy with another request."""
        self.model.gate.clear()
        first = asyncio.ensure_future(self.ask(0.0))
        while not self.model.batches:
            await asyncio.sleep(0.001)
        tasks = [asyncio.ensure_future(self.ask(request)) for request in requests]
        await asyncio.sleep(0.01)
        self.model.gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await first
        return answers


def run(bench, coroutine):
    try:
        return asyncio.run(coroutine)
    finally:
        bench.scheduler.close()


def test_without_batching_every_request_is_a_call():
    bench = Bench()

    answers = run(bench, bench.together(1.0, 2.0, 3.0))

    assert [answer[0].tolist() for answer in answers] == [[2.0], [4.0], [6.0]]
    assert Counter(len(batch) for batch in bench.model.batches) == {1: 4}
    assert bench.released == 4


def test_requests_that_wait_share_one_call_and_each_gets_its_own_rows():
    bench = Bench(num_batch_threads=1)

    answers = run(bench, bench.together(1.0, column(2.0, 3.0), 4.0))

    assert [answer[0].tolist() for answer in answers] == [[2.0], [4.0, 6.0], [8.0]]
    assert [batch.tolist() for batch in bench.model.batches] == [[0.0], [1.0, 2.0, 3.0, 4.0]]
    assert bench.released == 4


def test_a_request_for_an_idle_model_does_not_wait_for_the_timeout():
    bench = Bench(num_batch_threads=1, batch_timeout_micros=60_000_000)

    assert run(bench, asyncio.wait_for(bench.ask(1.0), 10))[0].tolist() == [2.0]


def test_a_request_for_a_busy_model_waits_until_the_timeout_even_with_a_free_thread():
    async def scenario(bench, timeout):
        bench.model.gate.clear()
        first = asyncio.ensure_future(bench.ask(0.0))
        while not bench.model.batches:
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(bench.ask(1.0))
        deadline = asyncio.get_running_loop().time() + timeout
        while len(bench.model.batches) < 2 and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)
        calls = len(bench.model.batches)
        bench.model.gate.set()
        await asyncio.gather(first, second)
        return calls

    patient = Bench(num_batch_threads=2, batch_timeout_micros=60_000_000)
    assert run(patient, scenario(patient, 0.2)) == 1
    hasty = Bench(num_batch_threads=2, batch_timeout_micros=10_000)
    assert run(hasty, scenario(hasty, 10)) == 2


def test_a_batch_holds_at_most_max_batch_size_rows():
    bench = Bench(num_batch_threads=1, max_batch_size=2)

    run(bench, bench.together(1.0, 2.0, 3.0, column(4.0, 5.0)))

    assert [batch.tolist() for batch in bench.model.batches[1:]] == [[1.0, 2.0], [3.0], [4.0, 5.0]]


def test_a_full_queue_is_unavailable_and_counted():
    bench = Bench(num_batch_threads=1, max_batch_size=1, max_enqueued_batches=2)

    *accepted, refused = run(bench, bench.together(1.0, 2.0, 3.0))

    assert [answer[0].tolist() for answer in accepted] == [[2.0], [4.0]]
    assert (refused.code, refused.text) == (
        StatusCode.UNAVAILABLE,
        "The batch scheduling queue to which this task was submitted is full",
    )
    assert ':tensorflow:serving:batching_session:rejected_count{model_name="m"} 1' in bench.metrics.render()
    assert bench.released == 4


def test_batches_are_padded_to_an_allowed_size():
    bench = Bench(num_batch_threads=1, max_batch_size=4, allowed_batch_sizes=(2, 4))

    answers = run(bench, bench.together(1.0, 2.0, 3.0))

    assert [batch.tolist() for batch in bench.model.batches] == [[0.0, 0.0], [1.0, 2.0, 3.0, 3.0]]
    assert [answer[0].tolist() for answer in answers] == [[2.0], [4.0], [6.0]]
    text = bench.metrics.render()
    assert ':tensorflow:serving:batching_session:processed_batch_size_sum{model_name="m"} 6' in text
    assert ':tensorflow:serving:batching_session:padding_size_sum{model_name="m"} 2' in text
    assert ':tensorflow:serving:batching_session:queuing_latency_count{model_name="m"} 4' in text


def test_requests_of_different_shapes_share_a_call_only_with_padding():
    narrow, wide = np.ones((1, 1), np.float32), np.ones((1, 3), np.float32)
    apart = Bench(num_batch_threads=1)
    answers = run(apart, apart.together(narrow, wide))
    assert [answer[0].tolist() for answer in answers] == [[[2.0]], [[2.0, 2.0, 2.0]]]
    assert len(apart.model.batches) == 3

    padded = Bench(num_batch_threads=1, pad_variable_length_inputs=True)
    answers = run(padded, padded.together(narrow * 3, wide))
    assert len(padded.model.batches) == 2
    # As in TF Serving, the padding is the tensor's own first element, and the answers keep it.
    assert [answer[0].tolist() for answer in answers] == [[[6.0, 6.0, 6.0]], [[2.0, 2.0, 2.0]]]

    words = Bench(num_batch_threads=1, pad_variable_length_inputs=True)
    answers = run(words, words.together(np.array([[b"a"]], object), np.array([[b"b", b"c"]], object)))
    assert [answer[0].tolist() for answer in answers] == [[[b"a", b"a"]], [[b"b", b"c"]]]


def test_a_bad_request_does_not_fail_the_others_of_its_batch():
    bench = Bench(num_batch_threads=1)

    good, bad, other = run(bench, bench.together(1.0, -1.0, 2.0))

    assert (good[0].tolist(), other[0].tolist()) == ([2.0], [4.0])
    assert (bad.code, bad.text) == (StatusCode.INVALID_ARGUMENT, "a negative number")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "Batching Run() must have at least one input tensor"),
        ([np.array(1.0, np.float32)], "Batching Run() input tensors must have at least one dimension"),
        ([column(1), column(1, 2)], "Batching Run() input tensors must have equal 0th-dimension size"),
        ([column(*range(9))], "Task size 9 is larger than maximum input batch size 8"),
    ],
)
def test_inputs_that_cannot_be_batched_are_refused(values, text):
    bench = Bench(max_batch_size=8)

    with pytest.raises(StatusError) as caught:
        run(bench, bench.ask(*values))

    assert (caught.value.code, caught.value.text) == (StatusCode.INVALID_ARGUMENT, text)
    assert bench.released == 1


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (np.array(1.0, np.float32), "Batched output tensor has 0 dimensions"),
        (
            column(1, 2, 3),
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
            "tensors",
        ),
    ],
)
def test_an_output_without_the_batch_dimension_fails(output, text):
    bench = Bench(num_batch_threads=1)
    bench.model.run = lambda feeds, values, fetches: [output]

    with pytest.raises(StatusError) as caught:
        run(bench, bench.ask(1.0))

    assert (caught.value.code, caught.value.text) == (StatusCode.FAILED_PRECONDITION, text)


def test_a_cancelled_request_is_not_run_if_it_waits_and_keeps_its_model_if_it_runs():
    bench = Bench(num_batch_threads=1)

    async def scenario():
        bench.model.gate.clear()
        running = asyncio.ensure_future(bench.ask(1.0))
        while not bench.model.batches:
            await asyncio.sleep(0.001)
        waiting = asyncio.ensure_future(bench.ask(2.0))
        await asyncio.sleep(0.01)
        running.cancel()
        waiting.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
        assert bench.released == 0  # the model is still in use
        bench.model.gate.set()
        assert (await bench.ask(3.0))[0].tolist() == [6.0]

    run(bench, scenario())

    assert [batch.tolist() for batch in bench.model.batches] == [[1.0], [3.0]]
    assert bench.released == 3
