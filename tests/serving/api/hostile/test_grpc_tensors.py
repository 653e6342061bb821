"""Tensors whose shape, dtype and content do not agree, or that declare too much. Each gets a status."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from grpc import StatusCode

from benchmarks.serving.process import rss_mb
from serving.protocol.tensors import MAX_MESSAGE_BYTES
from tests.serving.api.hostile.grpc_requests import (
    HOSTILE_SHAPES,
    MISMATCHED_TENSORS,
    PREDICT,
    STRING,
    floats,
    predict,
    strings,
)

OK, INVALID = StatusCode.OK, StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("shape", HOSTILE_SHAPES.values(), ids=HOSTILE_SHAPES)
@pytest.mark.parametrize(
    "tensor", [lambda s: floats(s, [1.0]), lambda s: floats(s, content=bytes(10)), lambda s: strings(s, [b"a"])]
)
def test_hostile_shapes(server, shape, tensor):
    dtype = tensor(shape).dtype
    code, text = server.call(
        PREDICT, predict("identity_string" if dtype == STRING else "identity_float32", x=tensor(shape))
    )

    assert code is INVALID
    assert text.startswith("tensor parsing error: x: ")


@pytest.mark.parametrize("tensor", MISMATCHED_TENSORS.values(), ids=MISMATCHED_TENSORS)
def test_contents_that_do_not_match_the_shape(server, tensor):
    name = "identity_string" if tensor.dtype == STRING else "identity_float32"

    code, text = server.call(PREDICT, predict(name, x=tensor))

    assert code is INVALID
    assert text.startswith("tensor parsing error: x: ")


def test_tensors_that_declare_too_much_together(server):
    half = floats([2**23], [1.0])

    code, text = server.call(PREDICT, predict("serving_default", x=half, y=half, z=half))
    assert (code, text[:12]) == (INVALID, "input size d")  # names are checked first
    code, text = server.call(PREDICT, predict("repeat", text=strings([2**22], [b"a"]), count=floats([2**23], dtype=9)))
    assert (code, "may hold" in text) == (INVALID, True)


def test_a_string_repeated_beyond_the_limit(server):
    """The request is short: one string of 10 kB, for a shape of 20,000 elements."""
    code, text = server.call(PREDICT, predict("identity_string", x=strings([20_000], [b"a" * 10_000])))

    assert code is INVALID
    assert str(MAX_MESSAGE_BYTES) in text


def test_many_requests_that_repeat_a_number_at_once(server):
    """Requests of a few bytes declare 60 MB each; those that wait for a thread do not hold that memory yet."""
    request = predict("total", numbers=floats([15_000_000], [1.0]))
    request.model_spec.name = "parse"
    data = request.SerializeToString()

    with ThreadPoolExecutor(48) as pool:
        answers = [pool.submit(server.call, PREDICT, data) for _ in range(48)]
        peak = 0.0
        while not all(answer.done() for answer in answers):
            peak = max(peak, rss_mb(server.pid))
            time.sleep(0.005)

    assert {answer.result()[0] for answer in answers} <= {OK, StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE}
    assert peak - server.rss < 1_500
