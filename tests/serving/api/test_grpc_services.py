"""The services that gRPC's own tools use, health and reflection, and the answers to bytes that are not a request.

Health follows TF Serving's model_servers/server.cc and gRPC's health service.
"""

import random
import threading

import grpc
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.protocol.config_files import ModelConfig
from serving.run_server import ModelServer
from serving.server_config import ServerConfig
from tests.support.failures import grpc_failure

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
SECONDS = 20


@pytest.fixture(scope="module")
def models(shared_store):
    return [ModelConfig(name, shared_store / name) for name in ("scale", "half")]


@pytest.fixture(scope="module")
def channel(models):
    """A channel to a server of `scale` and `half` with the health service."""
    with ModelServer(ServerConfig(models=models, health=True)) as server, grpc.insecure_channel(server.address) as made:
        yield made


def metadata(channel, name="scale"):
    """The version that GetModelMetadata returns, as a call that every server of `scale` answers."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = name
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    return stub.GetModelMetadata(request, timeout=SECONDS).model_spec.version.value


def health(channel, name):
    request = health_pb2.HealthCheckRequest(service=name)
    return health_pb2_grpc.HealthStub(channel).Check(request, timeout=SECONDS).status


def set_models(channel, *models):
    """Ask the server to serve (name, base path) pairs."""
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    for name, path in models:
        request.config.model_config_list.config.add(name=name, base_path=str(path), model_platform="tensorflow")
    model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=SECONDS)


@pytest.mark.parametrize("name", ["", "scale", "half", PREDICTION, MODEL])
def test_health_of_the_served_names(channel, name):
    assert health(channel, name) == SERVING


@pytest.mark.parametrize("name", ["PredictionService", "ModelService"])
def test_health_under_the_short_names_that_tf_serving_sets(channel, name):
    assert health(channel, name) == SERVING


def test_health_of_an_unknown_name(channel):
    code, _ = grpc_failure(
        health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest(service="absent"), timeout=SECONDS
    )

    assert code is grpc.StatusCode.NOT_FOUND


def test_a_watch_sees_a_model_go_and_come_back(models, shared_store):
    with (
        ModelServer(ServerConfig(models=models, health=True)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        half, everything, absent = (
            stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=SECONDS) for name in ("half", "", "absent")
        )
        assert next(half).status == next(everything).status == SERVING
        assert next(absent).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

        set_models(channel, ("scale", shared_store / "scale"))
        assert next(half).status == NOT_SERVING
        assert health(channel, "") == SERVING  # every configured model is served

        set_models(channel, *((model.name, model.base_path) for model in models))
        assert next(half).status == SERVING
        for watch in (half, everything, absent):
            watch.cancel()


def test_the_health_service_is_optional(shared_server):
    with grpc.insecure_channel(shared_server.address) as channel:
        code, _ = grpc_failure(
            health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest(), timeout=SECONDS
        )

    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_a_watch_sees_the_server_stop(models):
    with (
        ModelServer(ServerConfig(models=models[:1], health=True)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert next(watch).status == SERVING
        ending = threading.Thread(target=server.stop)
        ending.start()
        assert next(watch).status == NOT_SERVING
        watch.cancel()
        ending.join()


def test_reflection_lists_the_services(channel):
    listed = set(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert listed == {PREDICTION, MODEL, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


@pytest.mark.parametrize(
    ("message", "field", "type_name"),
    [
        ("PredictRequest", "model_spec", "tensorflow.serving.ModelSpec"),
        ("ClassificationRequest", "input", "tensorflow.serving.Input"),
        ("MultiInferenceRequest", "tasks", "tensorflow.serving.InferenceTask"),
        ("ReloadConfigRequest", "config", "tensorflow.serving.ModelServerConfig"),
    ],
)
def test_reflection_resolves_messages(channel, message, field, type_name):
    pool = descriptor_pool.DescriptorPool(
        ProtoReflectionDescriptorDatabase(channel)
    )  # knows only the server's descriptors

    descriptor = pool.FindMessageTypeByName(f"tensorflow.serving.{message}")
    assert descriptor.fields_by_name[field].message_type.full_name == type_name


def test_reflection_describes_a_call(channel):
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))

    predict = pool.FindServiceByName(PREDICTION).methods_by_name["Predict"]
    assert predict.input_type.full_name == "tensorflow.serving.PredictRequest"
    assert predict.output_type.fields_by_name["outputs"].message_type.fields_by_name[
        "value"
    ].message_type.full_name == ("tensorflow.TensorProto")


def test_reflection_of_an_unknown_symbol(channel):
    requests = iter([reflection_pb2.ServerReflectionRequest(file_containing_symbol="absent.Message")])
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    answer = next(stub.ServerReflectionInfo(requests, timeout=SECONDS))
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize(
    "method", [f"/{PREDICTION}/PredictStreamed", f"/{PREDICTION}/predict", "/absent.Service/Call", f"/{MODEL}/"]
)
def test_unknown_methods(channel, method):
    code, _ = grpc_failure(channel.unary_unary(method), b"", timeout=SECONDS)

    assert code is grpc.StatusCode.UNIMPLEMENTED


METHODS = [
    *(f"/{PREDICTION}/{name}" for name in ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata")),
    *(f"/{MODEL}/{name}" for name in ("GetModelStatus", "HandleReloadConfigRequest")),
]


def test_bytes_that_are_not_a_message_are_refused(channel):
    """Each method gets random bytes, and a valid request that is cut off at each position."""
    draw = random.Random(7)
    request = (
        model_management_pb2.ReloadConfigRequest()
    )  # its first field is the longest, so every cut is inside of a field
    request.config.model_config_list.config.add(name="scale", base_path="relative", model_platform="tensorflow")
    whole = request.SerializeToString()
    for method in METHODS:
        call = channel.unary_unary(method)
        for _ in range(40):
            code, _ = grpc_failure(call, draw.randbytes(draw.randrange(1, 200)), timeout=SECONDS)
            assert code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
        for size in range(1, len(whole)):
            code, _ = grpc_failure(call, whole[:size], timeout=SECONDS)
            assert code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
    code, text = grpc_failure(channel.unary_unary(METHODS[0]), b"\x0a\xff", timeout=SECONDS)
    assert (code, text) == (grpc.StatusCode.INTERNAL, "The request is not a tensorflow.serving.PredictRequest message.")
    assert metadata(channel) == 2


def test_a_damaged_request_gets_a_status_and_hurts_no_other_request(channel):
    """A Predict request is cut off at each position, and has a few bytes changed 400 times; many still parse."""
    draw = random.Random(11)
    request = predict_pb2.PredictRequest(output_filter=["y"])
    request.model_spec.name = "scale"
    request.model_spec.version.value = 2
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0]]))
    whole = request.SerializeToString()
    damaged = [whole[:size] for size in range(len(whole))]
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(draw.randrange(1, 5)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        damaged.append(bytes(data))
    call = channel.unary_unary(METHODS[0])
    codes = set()
    for data in damaged:
        try:
            codes.add(call.with_call(data, timeout=SECONDS)[1].code())
        except grpc.RpcError as error:
            codes.add(error.code())

    assert codes <= {
        *(grpc.StatusCode.OK, grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT),
        *(grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION),
    }
    assert len(codes) > 2
    assert metadata(channel) == 2


def test_no_bytes_are_an_empty_message(channel):
    missing = grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec"

    for method in METHODS[:3]:
        assert grpc_failure(channel.unary_unary(method), b"", timeout=SECONDS) == missing
    assert grpc_failure(channel.unary_unary(METHODS[4]), b"", timeout=SECONDS) == missing
    assert grpc_failure(channel.unary_unary(METHODS[5]), b"", timeout=SECONDS) == missing
    assert channel.unary_unary(METHODS[6])(b"", timeout=SECONDS)  # "Taking no action for empty config."
