"""Responses to JSON. Texts and layout: TF Serving's util/json_tensor.cc and its tests."""

import json

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving.protocol import json_answers, tensors
from serving.protocol.status import StatusError


def failure(call, *values, **named):
    with pytest.raises(StatusError) as caught:
        call(*values, **named)
    return caught.value.code, caught.value.text


def answered(rows, **outputs):
    protos = {name: tensors.encode(np.asarray(value)) for name, value in outputs.items()}
    return json_answers.predictions(protos, rows).decode()


def test_one_output_in_rows():
    assert answered(True, y=np.array([2.5, 3, 4.5], "f4")) == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'
    assert answered(True, y=np.array([[1, 2], [3, 4]])) == '{\n    "predictions": [[1, 2], [3, 4]\n    ]\n}'
    assert json.loads(answered(True, y=np.zeros((0, 3)))) == {"predictions": []}
    assert json.loads(answered(True, y=np.zeros((2, 0)))) == {"predictions": [[], []]}


def test_several_outputs_in_rows():
    text = answered(True, y=np.array([[1.5], [2.5]], "f4"), label=np.array([b"a", b"b"], object))
    assert text == (
        '{\n    "predictions": [\n'
        '        {\n            "label": "a",\n            "y": [1.5]\n        },\n'
        '        {\n            "label": "b",\n            "y": [2.5]\n        }\n    ]\n}'
    )


def test_outputs_in_columns():
    assert answered(False, y=np.array([[1, 2]], np.int32)) == (
        '{\n    "outputs": [\n        [\n            1,\n            2\n        ]\n    ]\n}'
    )
    assert answered(False, y=np.float32(0.5)) == '{\n    "outputs": 0.5\n}'
    assert answered(False, a=np.array([True, False]), b=np.uint64(2**64 - 1)) == (
        '{\n    "outputs": {\n        "a": [\n            true,\n            false\n        ],\n'
        '        "b": 18446744073709551615\n    }\n}'
    )


def test_strings_and_bytes():
    value = np.array(['"é"\n'.encode(), b"\0"], object)
    assert answered(True, text=value) == '{\n    "predictions": ["\\"é\\"\\n", "\\u0000"\n    ]\n}'
    assert json.loads(answered(True, image_bytes=value)) == {"predictions": [{"b64": "IsOpIgo="}, {"b64": "AA=="}]}
    assert (
        answered(False, image_bytes=np.array(b"\0", object)) == '{\n    "outputs": {\n        "b64": "AA=="\n    }\n}'
    )
    raw = json_answers.predictions({"text": tensors.encode(np.array([b"\xff"], object))}, True)
    assert b'["\xff"\n' in raw  # as TF Serving sends it


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"y": np.float32(1)}, "Tensor name: y has no shape information "),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "Tensor name: b has inconsistent batch size: 3 expecting: 2"),
        ({"y": np.zeros(2, np.float16)}, "Failed to write JSON value for tensor type: half"),
    ],
)
def test_outputs_that_cannot_be_rows(outputs, text):
    assert failure(answered, True, **outputs) == (StatusCode.INVALID_ARGUMENT, text)


def test_classifications_are_label_and_score_pairs():
    result = classification_pb2.ClassificationResult()
    for scores in ([0.4, 0.6], [0.1]):
        entry = result.classifications.add()
        for label, score in zip("ab", scores, strict=False):
            entry.classes.add(label=label, score=score)
    result.classifications.add()
    assert json_answers.classifications(result).decode() == (
        '{\n    "results": [[["a", 0.4], ["b", 0.6]], [["a", 0.1]], []\n    ]\n}'
    )
    assert failure(json_answers.classifications, classification_pb2.ClassificationResult())[1] == (
        "Cannot convert empty ClassificationResults to JSON"
    )


def test_regressions_are_numbers():
    result = regression_pb2.RegressionResult()
    for value in (0.1, 3):
        result.regressions.add(value=value)
    assert json_answers.regressions(result).decode() == '{\n    "results": [0.1, 3.0]\n}'
    assert failure(json_answers.regressions, regression_pb2.RegressionResult())[1] == (
        "Cannot convert empty RegressionResults to JSON"
    )
