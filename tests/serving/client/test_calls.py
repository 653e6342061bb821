"""The requests that are sent and how answers are read, without a server."""

import numpy as np
import pytest
from google.protobuf import text_format

from segue.errors import InputError, SegueError
from serving.client import calls
from serving.protocol import protos, tensors


def message(name, file):
    return protos.message(f"tensorflow.serving.{name}", f"tensorflow_serving/apis/{file}.proto")


def features(example):
    """The features that a client sends for an example: name -> (kind, values)."""
    request = message("ClassificationRequest", "classification").FromString(calls.classify("m", [example]).request)
    sent = request.input.example_list.examples[0].features.feature
    return {
        name: (feature.WhichOneof("kind"), list(getattr(feature, feature.WhichOneof("kind")).value))
        if feature.WhichOneof("kind")
        else None
        for name, feature in sent.items()
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(3, ("int64_list", [3]), id="int"),
        pytest.param([True, False], ("int64_list", [1, 0]), id="bools"),
        pytest.param(0.5, ("float_list", [0.5]), id="float"),
        pytest.param([1, 0.5], ("float_list", [1.0, 0.5]), id="ints and floats"),
        pytest.param("é", ("bytes_list", ["é".encode()]), id="text"),
        pytest.param([b"a\0", "b"], ("bytes_list", [b"a\0", b"b"]), id="bytes and text"),
        pytest.param(np.array([[1, 2], [3, 4]]), ("int64_list", [1, 2, 3, 4]), id="matrix"),
        pytest.param(np.float32(0.5), ("float_list", [0.5]), id="numpy number"),
        pytest.param([np.int32(1), np.int64(2)], ("int64_list", [1, 2]), id="numpy numbers"),
        pytest.param(np.array([b"a", "b"], object), ("bytes_list", [b"a", b"b"]), id="object array"),
        pytest.param([], None, id="empty"),
    ],
)
def test_the_values_of_a_feature_decide_its_list_type(value, expected):
    assert features({"f": value}) == {"f": expected}


@pytest.mark.parametrize("value", [None, [1, "a"], {"a": 1}, [[1], [2]], 2**63, 1j, "\ud800", np.datetime64("2024")])
def test_a_feature_of_another_type_is_refused_by_name(value):
    with pytest.raises(InputError, match="'f'"):
        calls.regress("m", [{"f": value}])


def test_examples_with_a_context():
    request = message("RegressionRequest", "regression").FromString(
        calls.regress("m", [{"a": 1}, {"a": 2}], {"c": "x"}, "s", version=3).request
    )

    listed = request.input.example_list_with_context
    assert [e.features.feature["a"].int64_list.value[0] for e in listed.examples] == [1, 2]
    assert listed.context.features.feature["c"].bytes_list.value[0] == b"x"
    assert (request.model_spec.signature_name, request.model_spec.version.value) == ("s", 3)


def test_examples_without_a_context_are_a_plain_list():
    request = message("ClassificationRequest", "classification").FromString(calls.classify("m", [{}]).request)

    assert request.input.WhichOneof("kind") == "example_list"
    assert len(request.input.example_list.examples) == 1


def test_the_caller_may_change_the_arrays_of_an_answer():
    answer = message("PredictResponse", "predict")(
        outputs={"y": tensors.encode(np.ones(3, np.float32)), "z": tensors.encode(np.ones(2), as_content=True)}
    )

    arrays = calls.predict("m", {}).parse(answer.SerializeToString())
    for array in arrays.values():
        array += 1

    assert {name: array.tolist() for name, array in arrays.items()} == {"y": [2, 2, 2], "z": [2, 2]}


def test_an_invalid_answer_is_an_error():
    with pytest.raises(SegueError, match="PredictionService/Predict cannot be read"):
        calls.predict("m", {}).parse(b"\xff\xff\xff")


def test_an_answer_with_an_invalid_tensor_is_an_error():
    answer = message("PredictResponse", "predict")()
    text_format.Parse("dtype: DT_FLOAT tensor_shape { dim { size: 3 } } float_val: [1, 2, 3, 4]", answer.outputs["y"])

    with pytest.raises(SegueError, match="holds 3 values, float_val has 4"):
        calls.predict("m", {}).parse(answer.SerializeToString())


def test_a_request_above_the_size_limit_is_refused():
    third = np.zeros(tensors.MAX_MESSAGE_BYTES // 3 + 1, np.int8)
    with pytest.raises(InputError, match="input 'c': with it the request holds"):
        calls.predict("m", {"a": third, "b": third, "c": third})
    with pytest.raises(InputError, match="Send fewer rows"):
        calls.classify("m", [{"a": bytes(tensors.MAX_MESSAGE_BYTES)}])


def test_a_config_that_does_not_parse_is_an_input_error():
    with pytest.raises(InputError, match="no field named"):
        calls.reload_config("model_config_list { colour: 1 }")


def test_why_a_model_does_not_answer():
    available = {"state": "AVAILABLE", "error": ""}

    assert calls.hindrance({1: available, 2: {"state": "LOADING", "error": ""}}) == ""
    assert calls.hindrance({2: {"state": "END", "error": "no such file"}}) == "version 2 is END no such file"
    assert calls.hindrance({}) == "no version"


def test_a_state_that_is_not_known_here_is_its_number():
    answer = message("GetModelStatusResponse", "get_model_status")()
    answer.model_version_status.add(version=1, state=99)

    assert calls.status("m").parse(answer.SerializeToString()) == {1: {"state": "99", "error": ""}}


def test_every_call_is_a_method_of_tf_serving_with_its_messages():
    """The calls match the services that TF Serving's proto files declare."""
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

    services = {
        service.full_name: service
        for file in (model_service_pb2, prediction_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
    }
    for call in (
        calls.predict("m", {}),
        calls.classify("m", []),
        calls.regress("m", []),
        calls.metadata("m"),
        calls.status("m"),
        calls.reload_config(""),
    ):
        service, method = call.method.removeprefix("/").split("/")
        assert services[service].methods_by_name[method].output_type is call.answer.DESCRIPTOR
