"""Which versions are served, by version policies, labels and folders.

The rules and texts are those of TF Serving's sources/storage_path/file_system_storage_path_source.cc,
core/basic_manager.cc, model_servers/server_core.cc and model_servers/get_model_status_impl.cc.
"""

import threading

import grpc
import pytest
import tensorflow as tf
from grpc import StatusCode
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from segue.errors import SegueError
from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server.manager import LABELS_AVAILABLE, LABELS_FOLLOW, LABELS_UNUSED, Retries
from serving.server_config import ServerConfig

SECONDS = 20
UNAVAILABLE_LABEL = "Request to assign label to version {} of model m, which is not currently available for inference"


def save(folder, factor):
    """Write a version with y = factor * x for a scalar x; its folder appears in one rename."""
    v1, making = tf.compat.v1, folder.parent / f"making-{folder.name}"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [], "x")
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": factor * x})
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
        for kind, value in policy.items():
            choice = getattr(entry.model_version_policy, kind)
            choice.SetInParent()
            if kind == "latest":
                choice.num_versions = value
            elif kind == "specific":
                choice.versions.extend(value)
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


def failure(call, *args, **more):
    """The status code and the text of a call that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **more)
    return caught.value.code(), caught.value.details()


def test_policies_and_their_change_by_reload(base, serve, eventually):
    for version in (2, 3, 10):
        save(base / str(version), float(version))
    caller = serve()
    assert caller.states() == {
        10: "AVAILABLE"
    }  # numbers are compared, not texts; by default the latest version is served
    assert failure(caller.statuses, 3) == (StatusCode.NOT_FOUND, "Could not find version 3 of model m")

    caller.reload(latest=2)
    assert caller.states() == {10: "AVAILABLE", 3: "AVAILABLE"}
    caller.reload(all=True)
    assert [entry[0] for entry in caller.statuses()] == [10, 3, 2, 1]
    assert set(caller.states().values()) == {"AVAILABLE"}

    caller.reload(specific=[1, 3])
    eventually(lambda: caller.states() == {10: "END", 3: "AVAILABLE", 2: "END", 1: "AVAILABLE"})
    assert caller.factor() == 3.0
    assert caller.factor(version=1) == 1.0
    assert failure(caller.factor, version=10) == (
        StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(m, 10)",
    )
    assert caller.statuses(10) == [(10, "END", 0, "")]


@pytest.mark.parametrize("name", ["absent", ""])
def test_the_status_of_an_unknown_model(serve, name):
    text = f"Could not find any versions of model {name}"

    assert failure(serve().statuses, name=name) == (StatusCode.NOT_FOUND, text)


def test_num_versions_0_counts_as_1(base, serve):
    save(base / "2", 2.0)
    caller = serve(ModelConfig("m", base, "all"))

    caller.reload(latest=0)
    assert caller.factor() == 2.0
    assert failure(caller.factor, version=1)[0] is StatusCode.NOT_FOUND


def test_a_specific_version_that_comes_later(base, serve, eventually, caplog):
    caller = serve(ModelConfig("m", base, "specific", specific=(1, 4)))
    assert (
        "Version 4 of servable m, which was requested to be served as a 'specific' version in the servable's "
        "version policy, was not found in the file system" in caplog.text
    )

    save(base / "3", 3.0)
    save(base / "4", 4.0)
    eventually(lambda: caller.states() == {4: "AVAILABLE", 1: "AVAILABLE"})


def test_labels_by_tf_servings_default(base, serve):
    save(base / "2", 2.0)
    caller = serve(ModelConfig("m", base, "all"))

    assert failure(caller.reload, {"stable": 1, "canary": 9}, all=True) == (
        StatusCode.FAILED_PRECONDITION,
        UNAVAILABLE_LABEL.format(9),
    )
    assert failure(caller.factor, label="stable") == (
        StatusCode.INVALID_ARGUMENT,
        "Unrecognized servable version label: stable",
    )
    caller.reload({"stable": 1, "canary": 2}, all=True)
    assert (caller.factor(label="stable"), caller.factor(label="canary")) == (1.0, 2.0)
    caller.reload({"stable": 2}, all=True)
    assert caller.factor(label="stable") == 2.0
    assert failure(caller.factor, label="canary")[1] == "Unrecognized servable version label: canary"


def test_labels_at_the_start_by_tf_servings_default(base, serve):
    with pytest.raises(SegueError, match=UNAVAILABLE_LABEL.format(1)):
        serve(ModelConfig("m", base, labels={"stable": 1}))


def test_with_the_rule_unused_a_new_label_may_name_a_version_that_is_not_loaded(base, serve, eventually):
    caller = serve(ModelConfig("m", base, labels={"stable": 1, "next": 2}), labels=LABELS_UNUSED)

    assert caller.factor(label="stable") == 1.0
    assert failure(caller.factor, label="next") == (
        StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(m, 2)",
    )
    moved = {"stable": 3, "next": 2}
    assert failure(caller.reload, moved) == (StatusCode.FAILED_PRECONDITION, UNAVAILABLE_LABEL.format(3))
    assert caller.factor(label="stable") == 1.0
    caller.reload({"stable": 1, "next": 2, "later": 3})  # `next` does not move, `later` is new
    save(base / "2", 2.0)
    eventually(lambda: 2 in caller.states() and caller.states()[2] == "AVAILABLE")
    assert caller.factor(label="next") == 2.0


def test_with_the_rule_follow_labels_move_when_their_versions_are_loaded(base, serve, eventually):
    caller = serve(ModelConfig("m", base, labels={"stable": 1}), labels=LABELS_FOLLOW)

    caller.reload({"stable": 2, "canary": 2})
    assert caller.factor(label="stable") == 1.0
    assert failure(caller.factor, label="canary")[1] == "Unrecognized servable version label: canary"
    save(base / "2", 2.0)
    eventually(lambda: caller.factor(label="stable") == 2.0)
    assert caller.factor(label="canary") == 2.0


def test_with_0_seconds_folders_are_searched_at_the_start_only(base, serve):
    before = [thread.name for thread in threading.enumerate()].count("segue-serving-poll")
    caller = serve(file_system_poll_wait_seconds=0)

    assert [thread.name for thread in threading.enumerate()].count("segue-serving-poll") == before
    save(base / "2", 2.0)
    assert caller.factor() == 1.0


def test_only_folders_whose_names_are_numbers_are_versions(base, serve):
    save(base / "00000123", 123.0)
    for name in ("-200", "201x", "tmp-202", ".203", "2e2", "\u0662"):
        spoil(base / name)
    (base / "204").write_text("a file")
    caller = serve(ModelConfig("m", base, "all"))

    assert caller.states() == {123: "AVAILABLE", 1: "AVAILABLE"}
    assert caller.factor() == 123.0


def test_of_two_folders_with_the_same_number_the_last_by_name_is_served(base, serve):
    save(base / "01", 7.0)

    assert serve().factor() == 1.0


def test_a_model_keeps_answering_when_its_base_path_vanishes(base, serve, eventually, caplog):
    caller = serve()
    base.rename(base.with_name("elsewhere"))

    eventually(lambda: f"Could not find base path {base} for servable m" in caplog.text)
    assert caller.factor() == 1.0
    base.with_name("elsewhere").rename(base)
    save(base / "2", 2.0)
    eventually(lambda: caller.factor() == 2.0)
