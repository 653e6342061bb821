"""TF Serving's protocol stubs, which are built for another version of TensorFlow."""

import pytest

pytestmark = pytest.mark.slow  # the stubs import TensorFlow, which takes 4 to 7 s


def test_a_predict_request_survives_the_wire():
    """If this fails, our server and our client do not speak TF Serving's protocol."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "ranking"
    request.model_spec.version_label = "stable"
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto(["u"]))
    request.inputs["age"].CopyFrom(tf.make_tensor_proto(np.array([[1.5, 2.5]], np.float32)))
    received = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert (received.model_spec.name, received.model_spec.version_label) == ("ranking", "stable")
    assert tf.make_ndarray(received.inputs["user_id"]).tolist() == [b"u"]
    assert tf.make_ndarray(received.inputs["age"]).tolist() == [[1.5, 2.5]]


def test_the_grpc_services_have_the_methods_that_clients_call():
    """If this fails, an ordinary TF Serving client cannot call our server."""
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    prediction = prediction_service_pb2_grpc.PredictionServiceServicer
    assert all(hasattr(prediction, name) for name in ("Predict", "GetModelMetadata"))
    model = model_service_pb2_grpc.ModelServiceServicer
    assert all(hasattr(model, name) for name in ("GetModelStatus", "HandleReloadConfigRequest"))
