"""Reading and writing JSON text."""

import json

import numpy as np
import pytest
from grpc import StatusCode

from serving.protocol import json_text
from tests.support.failures import status_failure


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"hello",
        b'{"a":1} x',
        b'{"a":[1,]}',
        b"{1:2}",
        b'{"a" 1}',
        b'{"a":[1',
        b'{"a":"\\x"}',
        b'{"a":"\\ud800"}',
        b'{"a":[NaN,"\\ud800"]}',
        b'{"a":"\xff"}',
        b'{"a":[NaN,"\xff"]}',
        b'{"a":"\n"}',
        b'{"a":1e999}',
        b'{"a":[NaN,%s]}' % (b"9" * 5000),
        b'{"a":nan}',
        b'{"a":[NaN, x]}',
        b'{"a":+Infinity}',
        b'{"a":' + b"[" * 100_000,
        b'{"a":NaN,"b":' + b"[" * 100_000,
        b'{"a":NaN,"b":' + b"[" * 300 + b"]" * 300 + b"}",
    ],
)
def test_a_body_that_is_not_json_is_an_invalid_argument(body):
    code, text = status_failure(json_text.parse, body)

    assert code is StatusCode.INVALID_ARGUMENT
    assert text.startswith("JSON Parse error: ")


def test_nan_and_infinity_are_numbers():
    document = json_text.parse(b'{"a": [NaN, Infinity, -Infinity, 1, 0.5], "NaN": "Infinity"}')

    np.testing.assert_array_equal(document["a"], [np.nan, np.inf, -np.inf, 1, 0.5])
    assert document["NaN"] == "Infinity"


@pytest.mark.parametrize("beside", ["0", "NaN"])
def test_integers_beyond_64_bits_become_floats(beside):
    text = f'{{"a": [{2**64 - 1}, {2**64}, {-(2**63)}, {-(2**63) - 1}, {beside}]}}'
    largest, beyond, smallest, below, _ = json_text.parse(text.encode())["a"]

    assert (largest, smallest) == (2**64 - 1, -(2**63))
    assert [type(value) for value in (largest, beyond, smallest, below)] == [int, float, int, float]


def test_an_error_quotes_the_document_but_cuts_a_long_one():
    assert status_failure(json_text.parse, b'["a", 1.5]')[1] == 'JSON Value: [\n    "a",\n    1.5\n] Is not object'
    assert status_failure(json_text.parse, b"1.0")[1] == "JSON Value: 1.0 Is not object"
    for body in (b"[" * 900 + b"]" * 900, b"[" + b"1," * 100_000 + b"1]", b'"' + b"a" * 100_000 + b'"'):
        assert len(status_failure(json_text.parse, body)[1]) < json_text.MAX_QUOTE + 50


def test_a_byte_order_mark_is_skipped():
    assert json_text.parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_survive_writing_and_reading(dtype):
    bits = np.random.default_rng(0).integers(0, 256, 8_000, np.uint8).tobytes()
    special = [0.1, 1 / 3, -0.0, 1e7, 2.5e-8, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal]
    finite = np.concatenate([np.frombuffer(bits, dtype), np.array(special, dtype)])
    finite = finite[np.isfinite(finite)]
    for numbers in (finite, np.append(finite, np.array([np.nan, np.inf, -np.inf], dtype))):
        read = np.array(json.loads(json_text.dumps({"a": numbers}))["a"], dtype)
        np.testing.assert_array_equal(read, numbers, strict=True)
        np.testing.assert_array_equal(np.signbit(read), np.signbit(numbers))


def test_a_float32_is_written_with_its_own_digits():
    assert json_text.dumps(np.array([0.1, 3], np.float32)) == b"[0.1,3.0]"
    assert json_text.dumps({"a": np.float32(np.nan), "b": [np.float32(np.inf), np.bool_(True)]}) == (
        b'{"a":NaN,"b":[Infinity,true]}'
    )


def test_the_text_null_is_not_taken_for_a_nan():
    assert json_text.dumps({"a": ["null", np.float32(0.5)]}) == b'{"a":["null",0.5]}'
