"""The answers to Predict, GetModelMetadata and GetModelStatus that a plain TF Serving client gets."""

import grpc
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.protocol import tensors
from tests.support.failures import grpc_failure

X = np.array([[1.0, 2.0]], np.float32)
SAMPLES = {
    "float16": np.array([[0.5, -2.0]], np.float16),
    "bfloat16": np.array([0.5, -2.0], ml_dtypes.bfloat16),
    "float32": np.array([[[1.5]], [[-2.5]]], np.float32),
    "float64": np.array(3.25),
    "complex64": np.array([1 + 2j, -3j], np.complex64),
    "complex128": np.array([[1 + 2j], [-3j]], np.complex128),
    "bool": np.array([True, False, True]),
    "string": np.array([[b"a\x00\xff"], ["\u00e9".encode()], [b""]], object),
    "int8": np.array([-128, 127], np.int8),
    "int16": np.array([-32768, 32767], np.int16),
    "int32": np.array([-(2**31), 2**31 - 1], np.int32),
    "int64": np.array([-(2**63), 2**63 - 1], np.int64),
    "uint8": np.array([0, 255], np.uint8),
    "uint16": np.array([0, 65535], np.uint16),
    "uint32": np.array([0, 2**32 - 1], np.uint32),
    "uint64": np.array([0, 2**64 - 1], np.uint64),
}


@pytest.fixture
def stub(shared_server):
    with grpc.insecure_channel(shared_server.address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request(name="scale", inputs=None, version=None, label=None, signature="", outputs=()):
    """A request as a TF Serving client makes it, with TensorFlow's own encoder."""
    message = predict_pb2.PredictRequest(output_filter=outputs)
    message.model_spec.name = name
    message.model_spec.signature_name = signature
    if version is not None:
        message.model_spec.version.value = version
    if label is not None:
        message.model_spec.version_label = label
    for key, value in ({"x": X} if inputs is None else inputs).items():
        proto = value if isinstance(value, TensorProto) else tf.make_tensor_proto(value)
        message.inputs[key].CopyFrom(proto)
    return message


def test_the_answer_and_its_model_spec(stub):
    response = stub.Predict(request(), timeout=20)

    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), 2 * X)
    assert set(response.outputs) == {"y", "twice"}
    assert response.model_spec.name == "scale"
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"


def test_answers_come_in_typed_fields(stub):
    output = stub.Predict(request(), timeout=20).outputs["y"]

    assert list(output.float_val) == [2.0, 4.0]
    assert output.tensor_content == b""


@pytest.mark.parametrize(
    ("spec", "version"),
    [({}, 2), ({"version": 1}, 1), ({"version": 2}, 2), ({"label": "stable"}, 2), ({"label": "before"}, 1)],
)
def test_versions_and_labels(stub, spec, version):
    response = stub.Predict(request(**spec), timeout=20)

    assert response.model_spec.version.value == version
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["y"]), version * X)


def test_the_output_filter_chooses_the_outputs(stub):
    assert set(stub.Predict(request(outputs=["twice"]), timeout=20).outputs) == {"twice"}


def test_a_named_signature_with_strings_and_integers(stub):
    inputs = {"text": np.array([b"ab", b"c"], object), "count": np.array([3, 4], np.int64)}

    response = stub.Predict(request(inputs=inputs, signature="repeat"), timeout=20)

    assert tf.make_ndarray(response.outputs["line"]).tolist() == [b"abx3", b"cx4"]


def test_a_model_that_tf1_wrote(stub):
    # 0.5 * 4 + 3 = 5
    response = stub.Predict(request("half", {"x": np.array([4.0], np.float32)}), timeout=20)

    assert tf.make_ndarray(response.outputs["y"]).tolist() == [5.0]


@pytest.mark.parametrize("dtype", SAMPLES)
def test_every_dtype_through_the_server(stub, dtype):
    sample = SAMPLES[dtype]

    output = stub.Predict(request(inputs={"x": sample}, signature=f"identity_{dtype}"), timeout=20).outputs["x"]

    np.testing.assert_array_equal(tf.make_ndarray(output), sample)
    np.testing.assert_array_equal(tensors.decode(output), sample)


def test_an_empty_batch(stub):
    response = stub.Predict(request(inputs={"x": np.zeros((0, 2), np.float32)}), timeout=20)

    assert tf.make_ndarray(response.outputs["y"]).shape == (0, 2)


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        pytest.param(request("nope"), NOT_FOUND, "Servable not found for request: Latest(nope)", id="unknown model"),
        pytest.param(request(version=3), NOT_FOUND, "Servable not found for request: Specific(scale, 3)", id="version"),
        pytest.param(request(label="x"), INVALID, "Unrecognized servable version label: x", id="unknown label"),
        pytest.param(request(""), INVALID, "ModelSpec has no name specified.", id="no name"),
        pytest.param(predict_pb2.PredictRequest(), INVALID, "Missing ModelSpec", id="no spec"),
        pytest.param(
            request(signature="s"),
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "s" not found.',
            id="unknown signature",
        ),
        pytest.param(
            request(inputs={}),
            INVALID,
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
            id="missing input",
        ),
        pytest.param(
            request(inputs={"x": X, "z": X}),
            INVALID,
            "input size does not match signature: 2!=1 len({x,z}) != len({x}). "
            "Sent extra: {z}. Missing but required: {}.",
            id="extra input",
        ),
        pytest.param(
            request(outputs=["q"]),
            INVALID,
            "output tensor alias not found in signature: q Outputs expected to be in the set {twice,y}.",
            id="unknown output",
        ),
        pytest.param(request(outputs=["y", "y"]), INVALID, "duplicate output tensor alias: y", id="output asked twice"),
        pytest.param(
            request(inputs={"x": X.astype(np.float64)}),
            INVALID,
            "Expects arg[0] to be float but double is provided",
            id="wrong dtype",
        ),
    ],
)
def test_the_error_of_a_wrong_request(stub, message, code, text):
    assert grpc_failure(stub.Predict, message, timeout=20) == (code, text)


def test_the_error_of_a_wrong_input_name_lists_the_inputs(stub):
    code, text = grpc_failure(stub.Predict, request(inputs={"z": X}), timeout=20)

    assert code == INVALID
    assert text == "input tensor alias not found in signature: z. Inputs expected to be in the set {x}."


def test_a_shape_that_the_graph_cannot_take(stub):
    inputs = {"text": np.array([b"a", b"b"], object), "count": np.array([1, 2, 3], np.int64)}

    code, _ = grpc_failure(stub.Predict, request(inputs=inputs, signature="repeat"), timeout=20)

    assert code == INVALID


def nonsense(**fields):
    """A float TensorProto with a chosen shape."""
    sizes = fields.pop("shape")
    proto = TensorProto(dtype=tf.float32.as_datatype_enum, **fields)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        pytest.param(nonsense(shape=[2, 2], float_val=[1, 2, 3, 4, 5]), id="too many values"),
        pytest.param(nonsense(shape=[2, 2]), id="no values"),
        pytest.param(nonsense(shape=[2, 2], tensor_content=b"\0" * 15), id="short content"),
        pytest.param(nonsense(shape=[-1, 2], float_val=[1, 2]), id="negative"),
        pytest.param(nonsense(shape=[2**40, 2**40], float_val=[1]), id="huge"),
        pytest.param(nonsense(shape=[2**63 - 1, 0], float_val=[]), id="huge beside zero"),
        pytest.param(nonsense(shape=[1] * 100, float_val=[1]), id="too many dimensions"),
        pytest.param(TensorProto(dtype=999, float_val=[1]), id="no such dtype"),
    ],
)
def test_nonsense_is_refused_before_memory_is_allocated(stub, proto):
    code, text = grpc_failure(stub.Predict, request(inputs={"x": proto}), timeout=20)

    assert code == INVALID
    assert text.startswith("tensor parsing error: x: ")


def test_tensors_that_are_too_large_together(stub):
    half = nonsense(shape=[tensors.MAX_MESSAGE_BYTES // 8], float_val=[1])
    message = request(inputs={"text": half, "count": half}, signature="repeat")
    message.inputs["count"].tensor_shape.dim[0].size += 1

    code, text = grpc_failure(stub.Predict, message, timeout=20)

    assert code == INVALID
    assert "may hold" in text


def test_metadata_lists_the_signatures(stub, client):
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "scale"

    response = stub.GetModelMetadata(message, timeout=20)
    metadata = client.metadata("scale")

    assert response.model_spec.version.value == 2
    assert list(response.metadata) == ["signature_def"]
    assert metadata["version"] == 2
    assert metadata["signatures"]["serving_default"]["inputs"] == {"x": {"dtype": "float32", "shape": [None, 2]}}
    assert metadata["signatures"]["repeat"]["inputs"]["text"] == {"dtype": "string", "shape": [None]}


def test_metadata_without_a_field_and_with_an_unknown_one(stub):
    message = get_model_metadata_pb2.GetModelMetadataRequest()
    message.model_spec.name = "scale"
    no_field = grpc_failure(stub.GetModelMetadata, message, timeout=20)
    message.metadata_field.append("colour")

    assert no_field == (INVALID, "GetModelMetadataRequest must specify at least one metadata_field")
    assert grpc_failure(stub.GetModelMetadata, message, timeout=20) == (
        INVALID,
        "Metadata field colour is not supported",
    )


def test_model_status_lists_versions_newest_first(shared_server):
    with grpc.insecure_channel(shared_server.address) as channel:
        call = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
        message = get_model_status_pb2.GetModelStatusRequest()
        message.model_spec.name = "scale"
        every = call(message, timeout=20).model_version_status
        message.model_spec.version.value = 7
        no_version = grpc_failure(call, message, timeout=20)
        message.model_spec.name = "nope"
        message.model_spec.ClearField("version")
        no_model = grpc_failure(call, message, timeout=20)

    assert [(entry.version, entry.state, entry.status.error_code) for entry in every] == [
        (2, 30, 0),
        (1, 30, 0),
    ]
    assert no_version == (NOT_FOUND, "Could not find version 7 of model scale")
    assert no_model == (NOT_FOUND, "Could not find any versions of model nope")
