"""JSON to the tensors of a Predict request. The error texts are those of TF Serving's util/json_tensor.cc."""

import json

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

from serving.protocol import json_tensors, json_text, tensors
from tests.support.failures import status_failure

FLOAT, DOUBLE, STRING, BOOL = types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_STRING, types_pb2.DT_BOOL
INT8, INT32, INT64 = types_pb2.DT_INT8, types_pb2.DT_INT32, types_pb2.DT_INT64
UINT8, UINT32, UINT64, HALF = types_pb2.DT_UINT8, types_pb2.DT_UINT32, types_pb2.DT_UINT64, types_pb2.DT_HALF


def fill(text, **inputs):
    """The arrays of a Predict request in JSON, and whether it is in rows; `inputs`: name -> DataType."""
    request = predict_pb2.PredictRequest()
    document = json_text.parse(text if isinstance(text, bytes) else text.encode())
    rows = json_tensors.fill(document, {name: (f"{name}:0", dtype) for name, dtype in inputs.items()}, request)
    return tensors.decode_all(request.inputs), rows


def refused(text, **inputs):
    code, message = status_failure(fill, text, **inputs)
    assert code is StatusCode.INVALID_ARGUMENT
    return message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"instances": [1.0, 2, 5.5]}', [1.0, 2.0, 5.5]),
        ('{"instances": [[1, 2], [3, 4]]}', [[1, 2], [3, 4]]),
        ('{"instances": [{"x": [1]}, {"x": [2]}]}', [[1], [2]]),
        ('{"instances": [[[]], [[]]]}', np.zeros((2, 1, 0))),
        ('{"inputs": 3}', 3.0),
        ('{"inputs": [[1], [2]]}', [[1], [2]]),
        ('{"inputs": {"x": [1, 2], "more": 1}}', [1, 2]),
        ('{"inputs": []}', np.zeros(0)),
    ],
)
def test_shapes_come_from_the_lists(text, value):
    arrays, rows = fill(text, x=FLOAT)
    assert rows == ("instances" in text)
    np.testing.assert_array_equal(arrays["x"], np.asarray(value, np.float32), strict=True)


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        (FLOAT, "[0.1, 16777215, NaN, Infinity, -Infinity]", np.array([0.1, 16777215, np.nan, np.inf, -np.inf], "f4")),
        (DOUBLE, "[0.1, 9007199254740991, 1e300]", np.array([0.1, 9007199254740991, 1e300])),
        (INT8, "[-128, 127]", np.array([-128, 127], np.int8)),
        (UINT8, "[0, 255]", np.array([0, 255], np.uint8)),
        (INT32, "[-2147483648, 2147483647]", np.array([-(2**31), 2**31 - 1], np.int32)),
        (INT64, "[-9223372036854775808, 9223372036854775807]", np.array([-(2**63), 2**63 - 1])),
        (UINT32, "[0, 4294967295]", np.array([0, 2**32 - 1], np.uint32)),
        (UINT64, "[18446744073709551615]", np.array([2**64 - 1], np.uint64)),
        (BOOL, "[true, false]", np.array([True, False])),
        (
            STRING,
            '["é", {"b64": "/wA="}, {"b64": "/w\\nA"}, ""]',
            np.array(["é".encode(), b"\xff\0", b"\xff\0", b""], "O"),
        ),
    ],
)
def test_every_dtype(dtype, text, value):
    for request in (f'{{"inputs": {text}}}', f'{{"instances": {text}}}'):
        np.testing.assert_array_equal(fill(request, x=dtype)[0]["x"], value, strict=True)


def test_rows_of_named_inputs_become_one_tensor_an_input():
    text = '{"instances": [{"tag": "a", "n": [1, 2]}, {"n": [3, 4], "tag": {"b64": "Yg=="}}]}'
    arrays, _ = fill(text, n=INT64, tag=STRING)
    assert arrays["n"].tolist() == [[1, 2], [3, 4]]
    assert arrays["tag"].tolist() == [b"a", b"b"]


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        (INT32, "1.0", "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        (INT32, "2147483648", "JSON Value: 2147483648 Type: Number is not of expected type: int32"),
        (INT8, "128", "JSON Value: 128 Type: Number is not of expected type: int8"),
        (UINT64, "-1", "JSON Value: -1 Type: Number is not of expected type: uint64"),
        (
            UINT64,
            "18446744073709551616",
            "JSON Value: 1.8446744073709552e+19 Type: Number is not of expected type: uint64",
        ),
        (INT64, "true", "JSON Value: true Type: True is not of expected type: int64"),
        (BOOL, "1", "JSON Value: 1 Type: Number is not of expected type: bool"),
        (FLOAT, '"1"', 'JSON Value: "1" Type: String is not of expected type: float'),
        (FLOAT, "null", "JSON Value: null Type: Null is not of expected type: float"),
        (FLOAT, "false", "JSON Value: false Type: False is not of expected type: float"),
        (FLOAT, "16777216", "Cannot convert JSON value: 16777216 to float without loss of precision."),
        (FLOAT, "[NaN, Infinity, 1e39]", "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        (FLOAT, "-1e39", "Cannot convert JSON value: -1e+39 to float without loss of precision."),
        (
            DOUBLE,
            "9007199254740992",
            "Cannot convert JSON value: 9007199254740992 to double without loss of precision.",
        ),
        (FLOAT, '{"b64": "aa"}', 'JSON Value: {\n    "b64": "aa"\n} Type: Object is not of expected type: float'),
        (STRING, "1", "JSON Value: 1 Type: Number is not of expected type: string"),
        (STRING, '{"b64": 1}', 'JSON Value: {\n    "b64": 1\n} not formatted correctly for base64 data'),
        (STRING, '{"b64": "a"}', "Unable to base64 decode"),
        (STRING, '{"b64": "ä==="}', "Unable to base64 decode"),
    ],
)
def test_a_value_that_does_not_fit_its_dtype(dtype, value, text):
    assert refused(f'{{"inputs": {{"x": [[{value}]]}}}}', x=dtype) == text


def test_a_dtype_that_tf_serving_does_not_read():
    assert status_failure(fill, '{"inputs": 1}', x=HALF) == (
        StatusCode.UNIMPLEMENTED,
        "Conversion of JSON Value: 1 to type: half",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("[[1, 2], [3]]", "Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
        ("[[1], 2]", "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected a list"),
        ("[1, [2]]", "Encountered list at unexpected level: 1 expected < 1"),
        ("[[[1], [2]], [[3], [[4]]]]", "Encountered list at unexpected level: 3 expected < 3"),
    ],
)
def test_nested_lists_that_are_not_a_tensor(value, text):
    assert refused(f'{{"inputs": {value}}}', x=FLOAT) == text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("[[1], [2, 3]]", "Failed to process element: 1 of 'instances' list. "
         "Error: INVALID_ARGUMENT: Encountered list at unexpected size: 2 at level: 0 expected size: 1"),
        ("[[[1, 2]], [[3, 4]], [[5], [6]]]", "Failed to process element: 2 of 'instances' list. "
         "Error: INVALID_ARGUMENT: Encountered list at unexpected size: 2 at level: 0 expected size: 1"),
        ("[1, 2, [3]]", "Failed to process element: 2 of 'instances' list. "
         "Error: INVALID_ARGUMENT: Encountered list at unexpected level: 0 expected < 0"),
        ("[1, 2, true, null]", "Failed to process element: 2 of 'instances' list. "
         "Error: INVALID_ARGUMENT: JSON Value: true Type: True is not of expected type: float"),
        ('[1, {"x": 1}]', "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
         'JSON Value: {\n    "x": 1\n} Type: Object is not of expected type: float'),
        ('[{"x": 1}, [1]]', "Expecting object but got list at item 1 of input list"),
        ('[{"x": 1}, {"x": "a"}]', "Failed to process element: 1 key: x of 'instances' list. "
         'Error: INVALID_ARGUMENT: JSON Value: "a" Type: String is not of expected type: float'),
        ('[{"x": 1}, {"y": 1}]', "Failed to process element: 1 of 'instances' list. "
         'JSON object: {\n    "y": 1\n} keys must be equal to: x'),
        ('[{"x": 1}, {}]', "Failed to process element: 1 of 'instances' list. "
         "JSON object: {} keys must be equal to: x"),
    ],
)  # fmt: skip
def test_the_error_names_the_first_row_that_does_not_fit(rows, text):
    assert refused(f'{{"instances": {rows}}}', x=FLOAT) == text


@pytest.mark.parametrize("bad", [[0.5, "x"], [0.5], [0.5, [1.5]], 0.5, [0.5, 1e39], [2**24, 1]])
def test_the_error_names_the_bad_row_among_many(bad):
    rows = [[0.5, 1.5]] * 1000 + [bad] + [[0.5, 1.5]] * 1000
    text = refused(json.dumps({"instances": rows}), x=FLOAT)
    assert text.startswith("Failed to process element: 1000 of 'instances' list.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"instances": [1]}', "instances is a plain list, but expecting list of objects as multiple input tensors "
         "required as per tensorinfo_map"),
        ('{"inputs": [1]}', "inputs is a plain value/list, but expecting an object as multiple input tensors "
         "required as per tensorinfo_map"),
        ('{"inputs": {"a": 1}}', "Missing named input: b in 'inputs' object."),
        ('{"inputs": 1, "instances": 1}', 'JSON Value: {\n    "inputs": 1,\n    "instances": 1\n} Not formatted '
         "correctly expecting only one of 'inputs' or 'instances' keys to exist "),
        ('{"instances": {}}', "JSON Value: {\n    \"instances\": {}\n} Excepting 'instances' to be an list/array"),
        ('{"instances": []}', "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        ("{}", "Missing 'inputs' or 'instances' key"),
    ],
)  # fmt: skip
def test_two_inputs_must_be_named(text, message):
    assert refused(text, a=FLOAT, b=FLOAT) == message


def test_a_signature_without_inputs():
    assert refused('{"inputs": 1}') == "Failed to get input map for signature: DEFAULT"


def test_a_signature_name_that_is_not_a_string():
    assert status_failure(json_tensors.signature_name, {"signature_name": 5})[1] == (
        'JSON Value: {\n    "signature_name": 5\n} not formatted correctly. '
        "'signature_name' key must be a string value."
    )


def test_lists_deeper_than_a_tensor_may_be():
    text = '{"inputs": ' + "[" * 900 + "]" * 900 + "}"
    assert refused(text, x=FLOAT).startswith("tensor parsing error: ")
    refused('{"instances": [1, ' + "[" * 900 + "]" * 900 + "]}", x=FLOAT)


def test_the_largest_float32_and_what_rounds_to_it_fit():
    arrays, _ = fill('{"inputs": [3.4028235e38, -3.4028234663852886e38]}', x=FLOAT)
    np.testing.assert_array_equal(arrays["x"], [np.finfo(np.float32).max, np.finfo(np.float32).min])
