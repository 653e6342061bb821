"""Responses to JSON. The error texts are those of TF Serving's util/json_tensor.cc."""

import json

import numpy as np
import pytest
from grpc import StatusCode
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving.protocol import json_answers, tensors
from tests.support.failures import status_failure


def answer(rows, **outputs):
    """The JSON of a PredictResponse; `outputs`: name -> array."""
    protos = {name: tensors.encode(np.asarray(value)) for name, value in outputs.items()}
    return json_answers.predictions(protos, rows)


@pytest.mark.parametrize(
    ("output", "predictions"),
    [
        (np.array([2.5, 3, 4.5], "f4"), b"[2.5,3.0,4.5]"),
        (np.array([[1, 2], [3, 4]]), b"[[1,2],[3,4]]"),
        (np.array([0.1, 3.4028235e38, np.nan, np.inf, -np.inf]), b"[0.1,3.4028235e+38,NaN,Infinity,-Infinity]"),
        (np.array([True, False]), b"[true,false]"),
        (np.zeros((0, 3)), b"[]"),
        (np.zeros((2, 0)), b"[[],[]]"),
    ],
)
def test_one_output_in_rows(output, predictions):
    assert answer(True, y=output) == b'{"predictions":%s}' % predictions


def test_several_outputs_in_rows():
    outputs = {
        "score": np.array([[0.1], [np.nan]], "f4"),
        "label": np.array([b"a", b"null"], object),
        "n": np.array([1, 2]),
    }
    assert answer(True, **outputs) == (
        b'{"predictions":[{"label":"a","n":1,"score":[0.10000000149011612]},{"label":"null","n":2,"score":[NaN]}]}'
    )
    outputs["score"][1] = 2.5
    outputs["label"][1] = b"b"
    assert answer(True, **outputs) == (
        b'{"predictions":[{"label":"a","n":1,"score":[0.1]},{"label":"b","n":2,"score":[2.5]}]}'
    )


def test_outputs_in_columns():
    assert answer(False, y=np.array([[1, 2]], np.int32)) == b'{"outputs":[[1,2]]}'
    assert answer(False, y=np.float32(0.5)) == b'{"outputs":0.5}'
    assert answer(False, a=np.array([True, False]), b=np.uint64(2**64 - 1)) == (
        b'{"outputs":{"a":[true,false],"b":18446744073709551615}}'
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_integers_of_every_size(dtype):
    limits = [np.iinfo(dtype).min, np.iinfo(dtype).max]
    assert json.loads(answer(True, y=np.array(limits, dtype))) == {"predictions": limits}


def test_strings_and_bytes():
    value = np.array(['"é"\n'.encode(), b"\0"], object)
    assert json.loads(answer(True, text=value)) == {"predictions": ['"é"\n', "\0"]}
    assert json.loads(answer(True, image_bytes=value)) == {"predictions": [{"b64": "IsOpIgo="}, {"b64": "AA=="}]}
    assert answer(False, image_bytes=np.array(b"\0", object)) == b'{"outputs":{"b64":"AA=="}}'


def test_bytes_that_are_not_utf8_are_sent_unchanged():
    assert answer(True, text=np.array([b"\xff"], object)) == b'{"predictions":["\xff"]}'


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
    assert status_failure(answer, True, **outputs) == (StatusCode.INVALID_ARGUMENT, text)


def test_classifications_are_label_and_score_pairs():
    result = classification_pb2.ClassificationResult()
    for scores in ([0.4, 0.6], [0.1]):
        entry = result.classifications.add()
        for label, score in zip("ab", scores, strict=False):
            entry.classes.add(label=label, score=score)
    result.classifications.add()
    assert json_answers.classifications(result) == b'{"results":[[["a",0.4],["b",0.6]],[["a",0.1]],[]]}'
    assert status_failure(json_answers.classifications, classification_pb2.ClassificationResult())[1] == (
        "Cannot convert empty ClassificationResults to JSON"
    )


def test_regressions_are_numbers():
    result = regression_pb2.RegressionResult()
    for value in (0.1, 3):
        result.regressions.add(value=value)
    assert json_answers.regressions(result) == b'{"results":[0.1,3.0]}'
    assert status_failure(json_answers.regressions, regression_pb2.RegressionResult())[1] == (
        "Cannot convert empty RegressionResults to JSON"
    )
