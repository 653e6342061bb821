"""Hostile gRPC messages: damaged, very large, or with hostile names. Each gets a status, and the server stays whole."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from grpc import StatusCode

from serving.api.grpc_services import MAX_ERROR_BYTES
from serving.protocol.tensors import MAX_MESSAGE_BYTES
from tests.serving.api.hostile.grpc_requests import (
    CLASSIFY,
    HOSTILE_NAMES,
    METADATA,
    MULTI,
    PREDICT,
    RELOAD,
    REQUESTS,
    STATUS,
    classify,
    damaged,
    floats,
    predict,
    valid,
)

OK, INVALID, NOT_FOUND = StatusCode.OK, StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND


@pytest.mark.parametrize("method", REQUESTS)
def test_random_and_damaged_messages(server, method):
    draw, data = random.Random(11), valid(method).SerializeToString()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda sent: server.call(method, sent), [damaged(draw, data) for _ in range(500)]))

    refused = {INVALID, NOT_FOUND, StatusCode.FAILED_PRECONDITION, StatusCode.UNIMPLEMENTED}
    for code, text in answers:
        if code is StatusCode.INTERNAL:
            assert text == f"The request is not a {REQUESTS[method].DESCRIPTOR.full_name} message."
        elif code is StatusCode.UNKNOWN:
            assert method == RELOAD
            assert "did not become available" in text
        else:
            assert code in refused | {OK}
    assert sum(code is not OK for code, _ in answers) > 200
    if method == RELOAD:  # a damaged list of models may still be a valid list
        assert server.reload() == (OK, "")


def test_very_many_examples(server):
    assert server.call(CLASSIFY, classify(100_000)) == (OK, "")
    code, text = server.call(CLASSIFY, classify(70_000, context=b"c" * 1_000))
    assert (code, text.startswith("The examples of a request may hold 67108864 bytes")) == (INVALID, True)
    code, _ = server.call(CLASSIFY, classify(2, context=b"c" * 40_000_000))
    assert code is INVALID


def test_messages_above_the_limit(server):
    for method in REQUESTS:
        code, text = server.call(method, bytes(MAX_MESSAGE_BYTES + 1))
        assert code is StatusCode.RESOURCE_EXHAUSTED
        assert str(MAX_MESSAGE_BYTES) in text


def test_an_answer_above_the_limit(server):
    """A request of a few bytes asks for 64 MB of floats, which with the answer's other fields are above the limit."""
    code, _ = server.call(PREDICT, predict("identity_float32", x=floats([2**24], [1.0])))

    assert code is StatusCode.RESOURCE_EXHAUSTED


def messages_with(name):
    """(method, a request with the name in one field, the expected status) for each such field."""
    for method in (PREDICT, METADATA, STATUS):
        request = valid(method)
        request.model_spec.name = name
        yield method, request, NOT_FOUND
        request = valid(method)
        request.model_spec.version_label = name
        yield method, request, INVALID
    yield PREDICT, predict(name), StatusCode.FAILED_PRECONDITION
    yield PREDICT, predict("serving_default", **{name: floats([1], [1.0])}), INVALID
    request = valid(PREDICT)
    request.output_filter[:] = [name]
    yield PREDICT, request, INVALID
    request = valid(METADATA)
    request.metadata_field[:] = [name]
    yield METADATA, request, INVALID
    request = valid(CLASSIFY)
    request.model_spec.signature_name = name
    yield CLASSIFY, request, INVALID
    request = valid(MULTI)
    request.tasks[0].method_name = name
    yield MULTI, request, StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_hostile_names(server, name):
    for method, request, expected in messages_with(name):
        code, text = server.call(method, request)
        assert code is expected
        assert len(text) <= MAX_ERROR_BYTES + 3
        assert text
