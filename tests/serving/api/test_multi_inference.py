"""MultiInference over gRPC: several signatures of one model on the same examples.

Status codes and error texts are those of TF Serving's servables/tensorflow/multi_inference.cc,
multi_inference_helper.cc, classifier.cc and regressor.cc.
"""

import grpc
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import inference_pb2, input_pb2, prediction_service_pb2_grpc

from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server_config import ServerConfig
from tests.serving.api.inference import CLASSIFY, PREDICT, REGRESS, examples, pairs, save_signatures, spec, values
from tests.support.failures import grpc_failure

INVALID = StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A TF1 model. For examples with x, y = 2x; the score of class `neg` is -y, that of class `pos` is y."""
    v1, base = tf.compat.v1, tmp_path_factory.mktemp("examples")
    with tf.Graph().as_default(), v1.Session() as session:
        first, second = (v1.placeholder(tf.string, [None], name) for name in ("first", "second"))
        features = {"x": tf.io.FixedLenFeature([], tf.float32)}
        y = 2.0 * tf.io.parse_example(first, features)["x"]  # [batch]
        classes = tf.tile(tf.constant([["neg", "pos"]]), [tf.size(y), 1])  # [batch, 2]
        scores = tf.stack([-y, y], 1)  # [batch, 2]
        signatures = {
            "serving_default": ({"inputs": first}, {"classes": classes, "scores": scores}, CLASSIFY),
            "regress": ({"inputs": first}, {"outputs": y}, REGRESS),
            "column": ({"inputs": first}, {"outputs": y[:, None]}, REGRESS),
            "other_input": ({"inputs": second}, {"outputs": 4.0 * tf.io.parse_example(second, features)["x"]}, REGRESS),
            "two_inputs": ({"inputs": first, "more": second}, {"scores": scores}, CLASSIFY),
            "outputs_int": ({"inputs": first}, {"outputs": tf.cast(y, tf.int32)}, REGRESS),
        }
        save_signatures(session, base / "1", signatures)
    return ModelConfig("tf1", base)


@pytest.fixture(scope="module")
def stub(model):
    with ModelServer(ServerConfig(models=[model])) as server, grpc.insecure_channel(server.address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def multi(*tasks, batch=None):
    """A MultiInferenceRequest of (signature, method[, model name]) tasks."""
    message = inference_pb2.MultiInferenceRequest(input=examples(1.0, -3.0) if batch is None else batch)
    for signature, method, *name in tasks:
        task = message.tasks.add(method_name=method)
        task.model_spec.signature_name = signature
        task.model_spec.name = name[0] if name else "tf1"
    return message


def test_several_signatures_on_the_same_examples(stub):
    tasks = [("regress", REGRESS), ("", CLASSIFY), ("column", REGRESS), ("other_input", REGRESS)]
    results = stub.MultiInference(multi(*tasks), timeout=20).results

    names = ["regress", "serving_default", "column", "other_input"]
    assert [spec(result) for result in results] == [("tf1", 1, name) for name in names]
    assert values(results[0].regression_result) == [2.0, -6.0]
    assert pairs(results[1].classification_result)[0] == [("neg", -2.0), ("pos", 2.0)]
    assert values(results[2].regression_result) == [2.0, -6.0]
    # The same examples, fed to the signature's own input tensor.
    assert values(results[3].regression_result) == [4.0, -12.0]


@pytest.mark.parametrize(
    ("tasks", "code", "text"),
    [
        ([], INVALID, "ModelSpec has no name specified."),
        ([("regress", REGRESS, "")], INVALID, "ModelSpec has no name specified."),
        ([("regress", REGRESS), ("", CLASSIFY, "")], INVALID, "Found ModelSpec with an empty model name."),
        (
            [("regress", REGRESS), ("", CLASSIFY, "tf2")],
            INVALID,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        ([("regress", REGRESS)] * 2, INVALID, "Duplicate evaluation of signature: regress"),
        ([("", CLASSIFY)] * 2, INVALID, "Duplicate evaluation of signature: serving_default"),
        ([("absent", REGRESS)], INVALID, "Requested signature not found in model graph: absent"),
        ([("regress", PREDICT)], StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {PREDICT}"),
        ([("regress", "regress")], StatusCode.UNIMPLEMENTED, "Unsupported signature method_name: regress"),
        ([("two_inputs", CLASSIFY)], INVALID, "Expected one input Tensor."),
        ([("outputs_int", REGRESS)], INVALID, "Expected output Tensor of DT_FLOAT.  Got: DT_INT32"),
        ([("regress", REGRESS, "gone")], StatusCode.NOT_FOUND, "Servable not found for request: Latest(gone)"),
    ],
)
def test_tasks_that_are_refused(stub, tasks, code, text):
    assert grpc_failure(stub.MultiInference, multi(*tasks), timeout=20) == (code, text)


@pytest.mark.parametrize("batch", [input_pb2.Input(), examples()])
def test_no_examples(stub, batch):
    assert grpc_failure(stub.MultiInference, multi(("regress", REGRESS), batch=batch), timeout=20) == (
        INVALID,
        "Input is empty.",
    )


def test_no_model_spec(stub):
    message = multi(("regress", REGRESS))
    message.tasks[0].ClearField("model_spec")

    assert grpc_failure(stub.MultiInference, message, timeout=20) == (INVALID, "ModelSpec has no name specified.")
