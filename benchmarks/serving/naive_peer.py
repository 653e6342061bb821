"""The naive peer: a first model server that uses only TensorFlow's and gRPC's own helpers."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

THREADS = 8


class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict by calling each model's signature eagerly."""

    def __init__(self, folders: dict[str, str]) -> None:
        self.models = {name: tf.saved_model.load(folder) for name, folder in folders.items()}

    def Predict(self, request: Any, context: Any) -> Any:
        """Run the model's `serving_default`."""
        signature = self.models[request.model_spec.name].signatures["serving_default"]
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, value in signature(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


class Model(model_service_pb2_grpc.ModelServiceServicer):
    """Model status, which clients read to see that the server is ready."""

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        """Answer that version 1 is available."""
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(version=1, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE)
        return response


def main(port: str, folders: dict[str, str]) -> None:
    """Load the models and serve until the process is killed."""
    server = grpc.server(ThreadPoolExecutor(THREADS))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(folders), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Model(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1], dict(argument.split("=", 1) for argument in sys.argv[2:]))
