"""HandleReloadConfigRequest: models come and go while the server runs.

Rules and error texts are those of TF Serving's model_servers/model_service_impl.cc, server_core.cc and
core/basic_manager.cc.
"""

import shutil
import threading

import grpc
import numpy as np
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

from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server.label_rules import LABELS_AVAILABLE
from serving.server.manager import Retries
from serving.server_config import ServerConfig
from tests.support.failures import grpc_failure

SECONDS = 60
INVALID = StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory):
    """The base path of a model that counts to its input `steps` and returns the count; a step takes about 3 us."""
    v1, base = tf.compat.v1, tmp_path_factory.mktemp("slow")
    with tf.Graph().as_default(), v1.Session() as session:
        steps = v1.placeholder(tf.int64, [], "steps")
        (count,) = tf.while_loop(lambda i: i < steps, lambda i: i + 1, [tf.constant(0, tf.int64)])
        signature = v1.saved_model.predict_signature_def({"steps": steps}, {"count": count})
        builder = v1.saved_model.Builder(str(base / "1"))
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING], signature_def_map={"serving_default": signature}
        )
        builder.save()
    return base


@pytest.fixture
def paths(tmp_path, saved_models, slow_model):
    """Model name -> base path; `broken` does not load."""
    for name, source in (("one", "one"), ("half", "tf1"), ("broken", "corrupt")):
        shutil.copytree(saved_models[source], tmp_path / name / "1")
    return {name: tmp_path / name for name in ("one", "half", "broken")} | {"slow": slow_model}


@pytest.fixture
def channel(paths):
    """A channel to a server of `one` that tries twice to load a version and never polls the folders."""
    settings = ServerConfig(
        models=[ModelConfig("one", paths["one"])],
        file_system_poll_wait_seconds=0,
        retries=Retries(1, 0.1),
        labels=LABELS_AVAILABLE,
    )
    with ModelServer(settings) as server, grpc.insecure_channel(server.address) as made:
        yield made


def config(*entries, **more):
    """A request to serve (name, base path) pairs."""
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    for name, path in entries:
        fields = {"model_platform": "tensorflow"} | more
        request.config.model_config_list.config.add(name=name, base_path=str(path), **fields)
    return request


def reload(channel, request):
    return model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=SECONDS)


def status(channel, name):
    """version -> state, error code and error message."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    answer = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=SECONDS)
    state = get_model_status_pb2.ModelVersionStatus.State.Name
    return {
        entry.version: (state(entry.state), entry.status.error_code, entry.status.error_message)
        for entry in answer.model_version_status
    }


def predict(channel, name, **inputs):
    """The future of a Predict call."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict.future(request, timeout=SECONDS)


def serves_one(channel):
    return status(channel, "one") == {1: ("AVAILABLE", 0, "")}


def test_a_model_is_added_and_answers_at_once(channel, paths):
    response = reload(channel, config(("one", paths["one"]), ("half", paths["half"])))

    assert (response.status.error_code, response.status.error_message) == (0, "")
    assert response.HasField("status")
    assert list(predict(channel, "half", x=np.float32([2.0])).result().outputs["y"].float_val) == [4.0]
    assert serves_one(channel)


def test_a_model_that_is_left_out_is_unloaded(channel, paths, eventually):
    reload(channel, config(("half", paths["half"])))

    missing = StatusCode.NOT_FOUND, "Servable not found for request: Latest(one)"
    assert grpc_failure(predict(channel, "one", x=np.float32([[1.0, 2.0]])).result) == missing
    eventually(lambda: status(channel, "one")[1][0] == "END")
    reload(channel, config(("one", paths["one"])))
    assert serves_one(channel)


def test_a_model_that_was_left_out_is_reported_as_ended(paths, saved_models, eventually):
    settings = ServerConfig(models=[ModelConfig("one", paths["one"])], file_system_poll_wait_seconds=0.05)
    with ModelServer(settings) as server, grpc.insecure_channel(server.address) as channel:
        reload(channel, config(("half", paths["half"])))
        # Once both versions were seen, one after the other, the server has polled the folders.
        for version in (2, 3):
            shutil.copytree(saved_models["tf1"], paths["half"] / str(version))
            eventually(lambda version=version: status(channel, "half").get(version, ("",))[0] == "AVAILABLE")

        assert status(channel, "one") == {1: ("END", 0, "")}


def test_a_list_without_models_unloads_all(channel):
    reload(channel, config())

    assert grpc_failure(predict(channel, "one", x=np.float32([[1.0, 2.0]])).result)[0] is StatusCode.NOT_FOUND


def test_an_empty_config_changes_nothing(channel):
    response = reload(channel, model_management_pb2.ReloadConfigRequest())

    assert response.status.error_code == 0
    assert serves_one(channel)


def test_a_custom_config(channel):
    request = model_management_pb2.ReloadConfigRequest()
    request.config.custom_model_config.SetInParent()

    assert grpc_failure(reload, channel, request) == (
        INVALID,
        "ServerModelConfig type not supported by HandleReloadConfigRequest. "
        "Only ModelConfigList is currently supported",
    )
    assert serves_one(channel)


@pytest.mark.parametrize(
    ("entries", "more", "text"),
    [
        ([("m", "/m"), ("n", "/n"), ("m", "/o")], {}, "Illegal to list model m multiple times in config list"),
        ([("m", "a/b")], {}, "Expected model m to have an absolute path or URI; got base_path()=a/b"),
        ([("m", "")], {}, "Expected model m to have an absolute path or URI; got base_path()="),
        ([("m", "/m")], {"model_platform": "torch"}, "Model m requests unsupported platform torch"),
        (
            [("m", "/m")],
            {"model_platform": ""},
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform.",
        ),
        (
            [("m", "/m")],
            {"model_type": 1},
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform.",
        ),
        (
            [("m", "/m")],
            {"model_type": 2, "model_platform": ""},
            "ModelServerConfig::model_type choice 2 not supported.",
        ),
    ],
)
def test_a_config_that_breaks_a_rule_changes_nothing(channel, entries, more, text):
    assert grpc_failure(reload, channel, config(*entries, **more)) == (INVALID, text)
    assert serves_one(channel)


def test_a_new_model_that_does_not_load(channel, paths):
    code, text = grpc_failure(reload, channel, config(("one", paths["one"]), ("broken", paths["broken"])))

    state, number, cause = status(channel, "broken")[1]
    assert (code, state) == (StatusCode.UNKNOWN, "END")
    name = next(code.name for code in StatusCode if code.value[0] == number)
    assert (
        text
        == f"1 model(s) did not become available: {{{{{{name: broken version: 1}} due to error: {name}: {cause}}}, }}"
    )
    assert serves_one(channel)
    reload(channel, config(("one", paths["one"]), ("broken", paths["broken"])))  # it is not a new model any more


def test_a_new_model_without_a_version(channel, paths, tmp_path):
    code, text = grpc_failure(reload, channel, config(("one", paths["one"]), ("absent", tmp_path / "absent")))

    assert code is StatusCode.UNKNOWN
    assert text.startswith("1 model(s) did not become available: {{{name: absent")
    assert serves_one(channel)


def test_a_label_on_a_version_that_is_not_loaded_changes_nothing(channel, paths):
    request = config(("one", paths["one"]), ("half", paths["half"]))
    request.config.model_config_list.config[0].version_labels["stable"] = 2

    assert grpc_failure(reload, channel, request) == (
        StatusCode.FAILED_PRECONDITION,
        "Request to assign label to version 2 of model one, which is not currently available for inference",
    )
    assert grpc_failure(status, channel, "half") == (StatusCode.NOT_FOUND, "Could not find any versions of model half")


@pytest.mark.slow
def test_running_requests_finish_when_their_model_is_removed(channel, paths, eventually):
    reload(channel, config(("one", paths["one"]), ("slow", paths["slow"])))
    under_way = [predict(channel, "slow", steps=np.int64(400_000)) for _ in range(2)]
    status(channel, "slow")  # an answer means that the requests before it have arrived

    reload(channel, config(("one", paths["one"])))
    assert not any(request.done() for request in under_way)
    assert status(channel, "slow") == {1: ("UNLOADING", 0, "")}
    late = predict(channel, "slow", steps=np.int64(1))
    assert grpc_failure(late.result) == (StatusCode.NOT_FOUND, "Servable not found for request: Latest(slow)")

    assert [list(request.result().outputs["count"].int64_val) for request in under_way] == [[400_000]] * 2
    eventually(lambda: status(channel, "slow")[1] == ("END", 0, ""))


def test_running_requests_finish_when_the_server_stops(slow_model):
    with (
        ModelServer(ServerConfig(models=[ModelConfig("slow", slow_model)])) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        under_way = predict(channel, "slow", steps=np.int64(60_000))
        status(channel, "slow")  # an answer means that the request before it has arrived
        server.stop()
        assert list(under_way.result().outputs["count"].int64_val) == [60_000]


def test_a_cancelled_request_does_not_keep_the_model_loaded(channel, paths, eventually):
    reload(channel, config(("one", paths["one"]), ("slow", paths["slow"])))
    given_up = predict(channel, "slow", steps=np.int64(200_000))
    status(channel, "slow")  # an answer means that the request before it has arrived
    given_up.cancel()

    reload(channel, config(("one", paths["one"])))
    eventually(lambda: status(channel, "slow")[1][0] == "END")


def test_simultaneous_reloads_all_apply(channel, paths):
    requests = [
        config(("one", paths["one"])),
        config(("one", paths["one"]), ("half", paths["half"])),
    ]
    failures = []

    def again(request):
        try:
            for _ in range(10):
                reload(channel, request)
        except grpc.RpcError as error:
            failures.append(error)

    threads = [threading.Thread(target=again, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    reload(channel, requests[1])
    assert list(predict(channel, "half", x=np.float32([2.0])).result().outputs["y"].float_val) == [4.0]
    assert serves_one(channel)
