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

CLASSIFY, REGRESS, PREDICT = (f"tensorflow/serving/{kind}" for kind in ("classify", "regress", "predict"))
INVALID = StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A TF1 model. For examples with x, y = 2x; the score of class `neg` is -y, that of class `pos` is y."""
    v1, base = tf.compat.v1, tmp_path_factory.mktemp("examples")
    with tf.Graph().as_default(), v1.Session() as session:
        one, two = v1.placeholder(tf.string, [None], "one"), v1.placeholder(tf.string, [None], "two")
        features = {"x": tf.io.FixedLenFeature([], tf.float32)}
        y = 2.0 * tf.io.parse_example(one, features)["x"]  # [batch]
        classes = tf.tile(tf.constant([["neg", "pos"]]), [tf.size(y), 1])  # [batch, 2]
        scores = tf.stack([-y, y], 1)  # [batch, 2]
        signatures = {
            "serving_default": ({"inputs": one}, {"classes": classes, "scores": scores}, CLASSIFY),
            "regress": ({"inputs": one}, {"outputs": y}, REGRESS),
            "column": ({"inputs": one}, {"outputs": y[:, None]}, REGRESS),
            "other_input": ({"inputs": two}, {"outputs": 4.0 * tf.io.parse_example(two, features)["x"]}, REGRESS),
            "two_inputs": ({"inputs": one, "more": two}, {"scores": scores}, CLASSIFY),
            "outputs_int": ({"inputs": one}, {"outputs": tf.cast(y, tf.int32)}, REGRESS),
        }
        info = v1.saved_model.build_tensor_info
        built = {
            name: v1.saved_model.build_signature_def(
                {key: info(tensor) for key, tensor in inputs.items()},
                {key: info(tensor) for key, tensor in outputs.items()},
                method,
            )
            for name, (inputs, outputs, method) in signatures.items()
        }
        builder = v1.saved_model.Builder(str(base / "1"))
        builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], signature_def_map=built)
        builder.save()
    return ModelConfig("tf1", base)


@pytest.fixture(scope="module")
def stub(model):
    with ModelServer(ServerConfig(models=[model])) as server, grpc.insecure_channel(server.address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def examples(*values):
    """An Input of examples with x."""
    made = input_pb2.Input()
    made.example_list.SetInParent()
    for value in values:
        made.example_list.examples.add().features.feature["x"].float_list.value.append(value)
    return made


def multi(*tasks, given=None):
    """A MultiInferenceRequest of (signature, method[, model name]) tasks."""
    message = inference_pb2.MultiInferenceRequest(input=examples(1.0, -3.0) if given is None else given)
    for signature, method, *name in tasks:
        task = message.tasks.add(method_name=method)
        task.model_spec.signature_name = signature
        task.model_spec.name = name[0] if name else "tf1"
    return message


def failure(call, message):
    """The status code and text of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=20)
    return caught.value.code(), caught.value.details()


def pairs(result):
    """For each example the (label, score) pairs of its classes."""
    return [[(entry.label, entry.score) for entry in answer.classes] for answer in result.classifications]


def values(result):
    return [entry.value for entry in result.regressions]


def spec(message):
    return message.model_spec.name, message.model_spec.version.value, message.model_spec.signature_name


def test_several_signatures_on_the_same_examples(stub):
    tasks = [("regress", REGRESS), ("", CLASSIFY), ("column", REGRESS), ("other_input", REGRESS)]
    results = stub.MultiInference(multi(*tasks), timeout=20).results

    names = ["regress", "serving_default", "column", "other_input"]
    assert [spec(result) for result in results] == [("tf1", 1, name) for name in names]
    assert values(results[0].regression_result) == [2.0, -6.0]
    assert pairs(results[1].classification_result)[0] == [("neg", -2.0), ("pos", 2.0)]
    assert values(results[2].regression_result) == [2.0, -6.0]
    assert values(results[3].regression_result) == [
        4.0,
        -12.0,
    ]  # the same examples, fed to the signature's own input tensor


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
    assert failure(stub.MultiInference, multi(*tasks)) == (code, text)


@pytest.mark.parametrize("given", [input_pb2.Input(), examples()])
def test_no_examples(stub, given):
    assert failure(stub.MultiInference, multi(("regress", REGRESS), given=given)) == (INVALID, "Input is empty.")


def test_no_model_spec(stub):
    message = multi(("regress", REGRESS))
    message.tasks[0].ClearField("model_spec")

    assert failure(stub.MultiInference, message) == (INVALID, "ModelSpec has no name specified.")
