"""JSON to tf.Examples. The error texts are those of TF Serving's util/json_tensor.cc."""

import pytest
from grpc import StatusCode
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.protocol import json_examples, json_text
from tests.support.failures import status_failure


def examples(text, request_class=classification_pb2.ClassificationRequest):
    request = request_class()
    json_examples.fill(json_text.parse(text.encode()), request.input)
    return request.input


def test_a_feature_has_the_list_of_its_values_type():
    batch = examples(
        '{"examples": [{"age": 5, "flags": [true, 0], "score": [0.5, 1.0], "name": ["a", {"b64": "/w=="}], "no": []}]}'
    )
    expected = example_pb2.Example()
    feature = expected.features.feature
    feature["age"].int64_list.value.append(5)
    feature["flags"].int64_list.value.extend([1, 0])
    feature["score"].float_list.value.extend([0.5, 1.0])
    feature["name"].bytes_list.value.extend([b"a", b"\xff"])
    feature["no"].SetInParent()
    assert batch == input_pb2.Input(example_list=input_pb2.ExampleList(examples=[expected]))


def test_a_context_stays_apart_from_the_examples():
    filled = examples('{"context": {"c": 1}, "examples": [{}, {"x": 2}]}', regression_pb2.RegressionRequest)
    batch = filled.example_list_with_context
    assert batch.context.features.feature["c"].int64_list.value == [1]
    assert [example.features.feature["x"].int64_list.value[:] for example in batch.examples] == [[], [2]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ('{"examples": 1}', "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array"),
        ('{"examples": [[1]]}', "Example must be JSON object but got JSON Array"),
        ('{"context": true, "examples": [{}]}', "Example must be JSON object but got JSON True"),
        ('{"examples": [{"a": null}]}', "Feature: a has element with unexpected JSON type: Null"),
        ('{"examples": [{"a": [[1]]}]}', "Feature: a has element with unexpected JSON type: Array"),
        ('{"examples": [{"a": {"b": 1}}]}', "Feature: a has element with unexpected JSON type: Object"),
        ('{"examples": [{"a": [1, 1.0]}]}', "Unexpected element type in feature: a expecting type: int64"),
        ('{"examples": [{"a": ["1", 1]}]}', "Unexpected element type in feature: a expecting type: bytes"),
        ('{"examples": [{"a": [1.5, 1]}]}', "Unexpected element type in feature: a expecting type: float"),
        ('{"examples": [{"a": 9223372036854775808}]}', "Feature: a has uint64 element. Only int64 is supported."),
        ('{"examples": [{"a": 1e39}]}', "Cannot convert JSON value: 1e+39 to float without loss of precision."),
        ('{"examples": [{"a": {"b64": "a"}}]}', "Unable to base64 decode"),
    ],
)
def test_a_document_that_is_not_a_list_of_examples(text, message):
    assert status_failure(examples, text) == (StatusCode.INVALID_ARGUMENT, message)
