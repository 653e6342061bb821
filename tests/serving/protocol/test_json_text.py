"""JSON as rapidjson reads and writes it. Texts: rapidjson's error/en.h."""

import numpy as np
import pytest
from grpc import StatusCode

from serving.protocol import json_text
from serving.protocol.status import StatusError


def failure(call, *values, **named):
    with pytest.raises(StatusError) as caught:
        call(*values, **named)
    return caught.value.code, caught.value.text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "The document is empty"),
        (b" ", "The document is empty. at offset: 0"),
        (b"hello", "Invalid value. at offset: 0"),
        (b'{"a":1} x', "The document root must not be followed by other values. at offset: 8"),
        (b'{"a":[1,]}', "Invalid value. at offset: 7"),
        (b'{"a":1,}', "Missing a name for object member. at offset: 6"),
        (b"{1:2}", "Missing a name for object member. at offset: 1"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a":1 "b":2}', "Missing a comma or } after an object member. at offset: 7"),
        (b'{"a":[1 2]}', "Missing a comma or ] after an array element. at offset: 8"),
        (b'{"a":[1', "Missing a comma or ] after an array element. at offset: 7"),
        (b'{"a":"b', "Missing a closing quotation mark in string. at offset: 7"),
        (b'{"a":"\\x"}', "Invalid escape character in string. at offset: 6"),
        (b'{"a":"\\u12g4"}', "Incorrect hex digit after \\u escape in string. at offset: 6"),
        (b'{"a":"\\ud800"}', "The surrogate pair in string is invalid. at offset: 6"),
        (b'{"a":[NaN,"\\ud800"]}', "The surrogate pair in string is invalid."),
        (b'{"a":"\xff"}', "Invalid encoding in string. at offset: 6"),
        (b'{"a":"\n"}', "Invalid encoding in string. at offset: 6"),
        (b'{"a":1e999}', "Number too big to be stored in double. at offset: 5"),
        (b'{"a":1.}', "Miss fraction part in number. at offset: 7"),
        (b'{"a":1e}', "Miss exponent in number. at offset: 7"),
        ('{"é":x}'.encode(), "Invalid value. at offset: 6"),
        (b'{"a":[NaN, x]}', "Invalid value. at offset: 11"),
        (b'{"a":' + b"[" * 100_000, "The document is nested too deeply."),
        (b'{"a":NaN,"b":' + b"[" * 100_000, "The document is nested too deeply."),
        (b'{"a":NaN,"b":' + b"[" * 300 + b"]" * 300 + b"}", "The document is nested too deeply."),
    ],
)
def test_what_is_no_json(body, text):
    assert failure(json_text.parse, body) == (StatusCode.INVALID_ARGUMENT, f"JSON Parse error: {text}")


def test_a_document_that_is_no_object_is_quoted_and_the_quote_is_cut():
    assert failure(json_text.parse, b'["a", 1.5]')[1] == 'JSON Value: [\n    "a",\n    1.5\n] Is not object'
    assert failure(json_text.parse, b"1.0")[1] == "JSON Value: 1.0 Is not object"
    for body in (b"[" * 900 + b"]" * 900, b"[" + b"1," * 100_000 + b"1]", b'"' + b"a" * 100_000 + b'"'):
        assert len(failure(json_text.parse, body)[1]) < json_text.MAX_QUOTE + 50


def test_a_byte_order_mark_is_skipped():
    assert json_text.parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (1, "1.0"), (1e7, "1e+07"), (2.5e-8, "2.5e-08"), (123456, "123456.0"), (1 / 3, "0.333333343"),
        (16777216, "16777216.0"), (-0.0, "-0.0"), (np.nan, "NaN"), (np.inf, "Infinity"), (-np.inf, "-Infinity"),
        (3.4028235e38, "3.40282347e+38"),
    ],
)  # fmt: skip
def test_floats_are_as_short_as_they_round_trip(value, text):
    assert json_text.decimals(np.array([value], np.float32)) == [text]
    if np.isfinite(value):
        assert np.float32(text) == np.float32(value)


def test_doubles_have_more_digits():
    assert json_text.decimals(np.array([0.1, 1 / 3])) == ["0.1", "0.33333333333333331"]
