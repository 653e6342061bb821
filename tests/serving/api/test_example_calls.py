"""Classify and Regress over gRPC, as TF Serving's clients see them.

Status codes and error texts are those of TF Serving's servables/tensorflow/util.cc, classifier.cc, regressor.cc and
model_servers/server_core.cc; for bad examples, those of TensorFlow's core/util/example_proto_fast_parsing.cc.
"""

import grpc
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import classification_pb2, input_pb2, prediction_service_pb2_grpc, regression_pb2

from serving.api import handlers
from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server_config import ServerConfig
from tests.serving.api.inference import (
    CLASSIFY,
    PREDICT,
    REGRESS,
    example,
    examples,
    pairs,
    save_signatures,
    spec,
    values,
)
from tests.support.failures import grpc_failure

INVALID = StatusCode.INVALID_ARGUMENT


def _signatures():
    """Signature name -> inputs, outputs, method name.

    For examples with x and bias, y = 2x + bias; the score of class `neg` is -y, that of class `pos` is y.
    """
    v1 = tf.compat.v1
    examples = v1.placeholder(tf.string, [None], "examples")
    features = {"x": tf.io.FixedLenFeature([], tf.float32), "bias": tf.io.FixedLenFeature([], tf.float32, 0.0)}
    parsed = tf.io.parse_example(examples, features)
    y = 2.0 * parsed["x"] + parsed["bias"]  # [batch]
    scores = tf.stack([-y, y], 1)  # [batch, 2]
    classes = tf.tile(tf.constant([["neg", "pos"]]), [tf.size(y), 1])  # [batch, 2]
    column = y[:, None]  # [batch, 1]
    more = v1.placeholder(tf.string, [None], "more")
    bad_label = tf.tile(tf.constant([[b"\xff"]]), [tf.size(y), 1])
    inputs = {"inputs": examples}
    return {
        "serving_default": (inputs, {"classes": classes, "scores": scores}, CLASSIFY),
        "classes_only": (inputs, {"classes": classes}, CLASSIFY),
        "scores_only": (inputs, {"scores": scores, "y": y}, CLASSIFY),
        "bad_label": (inputs, {"classes": bad_label}, CLASSIFY),
        "regress": (inputs, {"outputs": y}, REGRESS),
        "column": (inputs, {"outputs": column}, REGRESS),
        # Signatures that break a rule, so that requests of them are refused:
        "as_predict": (inputs, {"classes": classes, "scores": scores, "outputs": y}, PREDICT),
        "two_inputs": (inputs | {"more": more}, {"scores": scores, "outputs": y}, CLASSIFY),
        "input_x": ({"x": examples}, {"scores": scores}, CLASSIFY),
        "output_y": (inputs, {"y": y}, CLASSIFY),
        "input_x_regress": ({"x": examples}, {"outputs": y}, REGRESS),
        "scores_rank_1": (inputs, {"scores": y}, CLASSIFY),
        "classes_float": (inputs, {"classes": scores}, CLASSIFY),
        "scores_double": (inputs, {"scores": tf.cast(scores, tf.float64)}, CLASSIFY),
        "classes_once": (inputs, {"classes": classes[:1]}, CLASSIFY),
        "scores_once": (inputs, {"scores": scores[:1]}, CLASSIFY),
        "widths_differ": (inputs, {"classes": classes, "scores": column}, CLASSIFY),
        "outputs_wide": (inputs, {"outputs": scores}, REGRESS),
        "outputs_scalar": (inputs, {"outputs": tf.reduce_sum(y)}, REGRESS),
        "outputs_once": (inputs, {"outputs": y[:1]}, REGRESS),
        "outputs_int": (inputs, {"outputs": tf.cast(y, tf.int32)}, REGRESS),
    }


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A store of two models: `tf1` with the signatures above, and `tf2`, whose one signature scores x and -x."""
    v1, root = tf.compat.v1, tmp_path_factory.mktemp("examples")
    with tf.Graph().as_default(), v1.Session() as session:
        save_signatures(session, root / "tf1" / "1", _signatures())

    class Scorer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
        def score(self, inputs):
            x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
            return {"scores": tf.stack([x, -x], 1)}

    module = Scorer()
    tf.saved_model.save(module, str(root / "tf2" / "1"), signatures={"serving_default": module.score})
    return [ModelConfig(name, root / name) for name in ("tf1", "tf2")]


@pytest.fixture(scope="module")
def stub(models):
    with ModelServer(ServerConfig(models=models)) as server, grpc.insecure_channel(server.address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def strict_stub(models):
    """The stub of a server that checks the signatures' method names."""
    settings = ServerConfig(models=models, rules=handlers.Rules(check_method_names=True))
    with ModelServer(settings) as server, grpc.insecure_channel(server.address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def with_context(context, *members):
    return input_pb2.Input(
        example_list_with_context=input_pb2.ExampleListWithContext(context=context, examples=members)
    )


def ask(request_class, signature="", batch=None, name="tf1"):
    message = request_class(input=examples(1.0, -3.0) if batch is None else batch)
    message.model_spec.name = name
    message.model_spec.signature_name = signature
    return message


def classification(*args, **more):
    return ask(classification_pb2.ClassificationRequest, *args, **more)


def regression(*args, **more):
    return ask(regression_pb2.RegressionRequest, *args, **more)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("", [[("neg", -2.0), ("pos", 2.0)], [("neg", 6.0), ("pos", -6.0)]]),
        ("serving_default", [[("neg", -2.0), ("pos", 2.0)], [("neg", 6.0), ("pos", -6.0)]]),
        ("classes_only", [[("neg", 0.0), ("pos", 0.0)]] * 2),
        ("scores_only", [[("", -2.0), ("", 2.0)], [("", 6.0), ("", -6.0)]]),
    ],
)
def test_classify(stub, signature, expected):
    response = stub.Classify(classification(signature), timeout=20)

    assert pairs(response.result) == expected
    assert spec(response) == ("tf1", 1, signature or "serving_default")


@pytest.mark.parametrize("signature", ["regress", "column"])
def test_regress(stub, signature):
    response = stub.Regress(regression(signature), timeout=20)

    assert values(response.result) == [2.0, -6.0]
    assert spec(response) == ("tf1", 1, signature)


def test_a_tf2_model_whose_signature_says_predict(stub, strict_stub):
    request = classification(name="tf2")

    assert pairs(stub.Classify(request, timeout=20).result) == [[("", 1.0), ("", -1.0)], [("", -3.0), ("", 3.0)]]
    text = f"Expected classification signature method_name to be {CLASSIFY}. Was: {PREDICT}"
    assert grpc_failure(strict_stub.Classify, request, timeout=20) == (INVALID, text)


def test_the_features_of_an_example_override_those_of_the_context(stub):
    batch = with_context(example(x=5.0, bias=1.0), example(x=1.0), example(bias=10.0), example())

    assert values(stub.Regress(regression("regress", batch), timeout=20).result) == [3.0, 20.0, 11.0]
    assert len(pairs(stub.Classify(classification("", batch), timeout=20).result)) == 3


@pytest.mark.parametrize("batch", [input_pb2.Input(), examples(), with_context(example(x=1.0))])
def test_no_examples(stub, batch):
    assert grpc_failure(stub.Classify, classification("", batch), timeout=20) == (INVALID, "Input is empty.")
    assert grpc_failure(stub.Regress, regression("regress", batch), timeout=20) == (INVALID, "Input is empty.")


def test_a_context_that_would_fill_memory_is_refused(stub):
    batch = with_context(example(x=b"x" * 1_000_000), *[example()] * 1_000)

    code, text = grpc_failure(stub.Classify, classification("", batch), timeout=20)
    assert code is INVALID
    assert "including the context that is repeated in each" in text


@pytest.mark.parametrize(
    ("member", "text"),
    [
        (example(bias=1.0), "Feature: x (data type: float) is required but could not be found."),
        (example(x=b"one"), "Key: x, Index: 0.  Data types don't match. Data type: string but expected type: float"),
    ],
)
def test_an_example_that_does_not_fit_the_model(stub, member, text):
    batch = input_pb2.Input(example_list=input_pb2.ExampleList(examples=[member]))

    code, received = grpc_failure(stub.Regress, regression("regress", batch), timeout=20)
    assert code is INVALID
    assert text in received


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("absent", "No signature was found with the name: absent"),
        ("two_inputs", "Expected one input Tensor."),
        ("as_predict", "Expected one or two output Tensors, found 3"),
        ("input_x", "No classification inputs found in SignatureDef: inputs {"),
        (
            "output_y",
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            "Signature was: inputs {",
        ),
        ("scores_rank_1", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("classes_float", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ("scores_double", "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        ("classes_once", "Expected classes output batch size of 2. Got: 1"),
        ("scores_once", "Expected scores output batch size of 2. Got: 1"),
        ("widths_differ", "Tensors class and score should match in dim_size(1). Got 2 vs. 1"),
    ],
)
def test_signatures_that_do_not_classify(stub, signature, text):
    code, received = grpc_failure(stub.Classify, classification(signature), timeout=20)

    assert code is INVALID
    assert received.startswith(text) if text.endswith("{") else received == text


def test_a_class_label_that_is_not_utf8(stub):
    text = "A class label must be UTF-8 text. The model returned b'\\xff'."

    assert grpc_failure(stub.Classify, classification("bad_label"), timeout=20) == (StatusCode.INTERNAL, text)


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("absent", "No signature was found with the name: absent"),
        ("two_inputs", "Expected one input Tensor."),
        ("as_predict", "Expected one output Tensor."),
        ("input_x_regress", "No regression inputs found in SignatureDef: inputs {"),
        ("output_y", "No regression outputs found in SignatureDef: inputs {"),
        ("outputs_wide", "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]"),
        ("outputs_scalar", "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []"),
        ("outputs_once", "Input batch size did not match output batch size: 2 vs. 1"),
        ("outputs_int", "Expected output Tensor of DT_FLOAT.  Got: DT_INT32"),
    ],
)
def test_signatures_that_do_not_regress(stub, signature, text):
    code, received = grpc_failure(stub.Regress, regression(signature), timeout=20)

    assert code is INVALID
    assert received.startswith(text) if text.endswith("{") else received == text


def test_a_strict_server_checks_method_names(strict_stub):
    assert values(strict_stub.Regress(regression("regress"), timeout=20).result) == [2.0, -6.0]
    text = f"Expected regression signature method_name to be {REGRESS}. Was: {CLASSIFY}"
    assert grpc_failure(strict_stub.Regress, regression("serving_default"), timeout=20) == (INVALID, text)


@pytest.mark.parametrize(
    ("message", "method"), [(classification(name=""), "Classify"), (regression(name=""), "Regress")]
)
def test_the_model_spec(stub, message, method):
    call = getattr(stub, method)
    assert grpc_failure(call, message, timeout=20) == (INVALID, "ModelSpec has no name specified.")
    message.model_spec.name = "absent"
    assert grpc_failure(call, message, timeout=20) == (
        StatusCode.NOT_FOUND,
        "Servable not found for request: Latest(absent)",
    )
    message.ClearField("model_spec")
    assert grpc_failure(call, message, timeout=20) == (INVALID, "Missing ModelSpec")
