"""A model `m` whose versions appear in a folder while a server follows it."""

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server.label_rules import LABELS_AVAILABLE
from serving.server.manager import Retries
from serving.server_config import ServerConfig

SECONDS = 20


def save(folder, factor):
    """Write a version with y = factor * x for a scalar x; its folder appears in one rename.

    The model first counts to `steps`, which takes about 3 us a step, so that a test can make a request slow.
    """
    v1, making = tf.compat.v1, folder.parent / f"making-{folder.name}"
    with tf.Graph().as_default(), v1.Session() as session:
        x, steps = v1.placeholder(tf.float32, [], "x"), v1.placeholder(tf.int64, [], "steps")
        (count,) = tf.while_loop(lambda i: i < steps, lambda i: i + 1, [tf.constant(0, tf.int64)])
        y = factor * x + 0.0 * tf.cast(count, tf.float32)
        signature = v1.saved_model.predict_signature_def({"x": x, "steps": steps}, {"y": y})
        builder = v1.saved_model.Builder(str(making))
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signature_def_map={"serving_default": signature}
        )
        builder.save()
    making.rename(folder)


def spoil(folder):
    """Write a version that cannot be loaded."""
    making = folder.parent / f"making-{folder.name}"
    making.mkdir(parents=True)
    (making / "saved_model.pb").write_bytes(b"\x0a\xff not a SavedModel")
    making.rename(folder)


class Caller:
    """A client of one server and its model `m`."""

    def __init__(self, channel, base):
        self._models = model_service_pb2_grpc.ModelServiceStub(channel)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._base = base

    def factor(self, version=None, label=None):
        """The factor of the version that answers."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "m"
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(1.0))
        request.inputs["steps"].CopyFrom(tf.make_tensor_proto(0, tf.int64))
        return self._predictions.Predict(request, timeout=SECONDS).outputs["y"].float_val[0]

    def statuses(self, version=None, name="m"):
        """The statuses as (version, state, error code, error message), in the order of the answer."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        if version is not None:
            request.model_spec.version.value = version
        answer = self._models.GetModelStatus(request, timeout=SECONDS)
        state = get_model_status_pb2.ModelVersionStatus.State.Name
        return [
            (entry.version, state(entry.state), entry.status.error_code, entry.status.error_message)
            for entry in answer.model_version_status
        ]

    def states(self):
        """Version -> state."""
        return {version: state for version, state, _, _ in self.statuses()}

    def reload(self, labels=None, **policy):
        """Reload the configuration: `m` with a version policy and labels."""
        request = model_management_pb2.ReloadConfigRequest()
        entry = request.config.model_config_list.config.add(
            name="m", base_path=str(self._base), model_platform="tensorflow"
        )
        entry.version_labels.update(labels or {})
        for choice, value in policy.items():
            message = getattr(entry.model_version_policy, choice)
            message.SetInParent()
            if choice == "latest":
                message.num_versions = value
            elif choice == "specific":
                message.versions.extend(value)
        self._models.HandleReloadConfigRequest(request, timeout=SECONDS)


@pytest.fixture
def base(tmp_path):
    """The base path of model `m`, with version 1: y = x."""
    folder = tmp_path / "m"
    folder.mkdir()
    save(folder / "1", 1.0)
    return folder


@pytest.fixture
def serve(base):
    """Start a server of `m` that searches the folder 20 times a second, and return its `Caller`."""
    stops = []

    def start(model=None, **settings):
        defaults = {"file_system_poll_wait_seconds": 0.05, "retries": Retries(0), "labels": LABELS_AVAILABLE}
        server = ModelServer(ServerConfig(models=[model or ModelConfig("m", base)], **(defaults | settings)))
        server.start()
        stops.append(server.stop)
        channel = grpc.insecure_channel(server.address)
        stops.append(channel.close)
        return Caller(channel, base)

    yield start
    for stop in reversed(stops):
        stop()
