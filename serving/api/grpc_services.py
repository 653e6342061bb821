"""The gRPC server: TF Serving's services, gRPC's health service and gRPC reflection, answered by a `Service`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

from serving.api.service import Service
from serving.protocol.config_files import TlsConfig
from serving.protocol.status import StatusError
from serving.protocol.tensors import MAX_MESSAGE_BYTES

log = logging.getLogger("segue.serving")

PREDICTION = prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"]
MODEL = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]

OPTIONS: dict[str, str | int] = {
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    # With 1, a second server on the same port would silently take a share of the connections.
    "grpc.so_reuseport": 0,
    "grpc.max_concurrent_streams": 200,  # for each connection
    # Of the calls that the event loop has not taken yet, gRPC cancels some above the first limit (by default 1,000) and
    # all above the second (3,000), good ones like those that never end. `MAX_CALLS` limits calls, and says so.
    "grpc.server.max_pending_requests": 2**31 - 1,
    "grpc.server.max_pending_requests_hard_limit": 2**31 - 1,
}
# The most messages being answered at once, each of up to the largest size; further ones get RESOURCE_EXHAUSTED. A call
# counts once its message has arrived, so that a client that opens calls and sends nothing cannot lock out others.
MAX_CALLS = 1_000
# gRPC sends the text in a header, percent-encoded, and clients cannot read an answer with more than 8 KiB of headers.
MAX_ERROR_BYTES = 1_024

Answer = Callable[[Any], Awaitable[Any]]


def server(
    service: Service,
    health_service: "Health | None",
    channel_arguments: Sequence[tuple[str, str | int]],
    wait: Callable[[float], bool],
) -> grpc.aio.Server:
    """A gRPC server that is neither bound to a port nor started. Call this on the event loop that it will run on.

    Args:
        service: answers the requests.
        health_service: grpc.health.v1; None to leave it out.
        channel_arguments: further gRPC options; they override `OPTIONS`.
        wait: sleeps for a number of seconds; returns true once the server is stopping.
    """
    grpc_server = grpc.aio.server(
        options=list(
            {**OPTIONS, **dict(channel_arguments)}.items()
        ),  # of two options of the same name, gRPC keeps the first
    )
    calls = _Calls()
    _add(
        grpc_server,
        calls,
        PREDICTION,
        {
            "Predict": lambda request: service.infer("predict", request),
            "Classify": lambda request: service.infer("classify", request),
            "Regress": lambda request: service.infer("regress", request),
            "MultiInference": lambda request: service.infer("multi_inference", request),
            "GetModelMetadata": _on_loop(service.metadata),
        },
    )
    _add(
        grpc_server,
        calls,
        MODEL,
        {
            "GetModelStatus": _on_loop(service.status),
            # A reload waits for models to load, so it runs on a thread of its own.
            "HandleReloadConfigRequest": lambda request: asyncio.get_running_loop().run_in_executor(
                service.reloads, service.handle_reload, request, wait
            ),
        },
    )
    names = [PREDICTION.full_name, MODEL.full_name, reflection.SERVICE_NAME]
    if health_service is not None:
        health_pb2_grpc.add_HealthServicer_to_server(health_service.servicer, grpc_server)
        names.append(health.SERVICE_NAME)
    reflection.enable_server_reflection(names, grpc_server)
    return grpc_server


def credentials(tls: TlsConfig) -> grpc.ServerCredentials:
    """The credentials of a server that speaks TLS."""
    return grpc.ssl_server_credentials(
        [(tls.server_key.encode(), tls.server_cert.encode())],
        root_certificates=tls.custom_ca.encode() or None,
        require_client_auth=tls.client_verify,
    )


class Health:
    """grpc.health.v1: the state of the whole server under the name "", and of each model under the model's name."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()
        self._models: set[str] = set()
        self._tasks: set[asyncio.Task] = set()

    def report(self, models: Collection[str], available: Collection[str]) -> None:
        """Publish which models answer. Call this on the event loop.

        Args:
            models: the names of all configured models.
            available: the names of the models with an available version.
        """
        self._models |= set(models)
        states = {name: name in available for name in self._models}
        states[""] = set(models) <= set(available)
        for service in (PREDICTION, MODEL):
            states[service.full_name] = states[service.name] = True  # TF Serving uses the short names
        for name, serving in states.items():
            status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
            self._start(self.servicer.set(name, status))

    def stop(self) -> None:
        """Publish that nothing is served any more. Call this on the event loop."""
        self._start(self.servicer.enter_graceful_shutdown())

    def _start(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)  # without a reference the task may be garbage-collected before it has run
        task.add_done_callback(self._tasks.discard)


def _on_loop(answer: Callable[[Any], Any]) -> Answer:
    """A quick function as a coroutine function that calls it on the event loop."""

    async def call(request: Any) -> Any:
        return answer(request)

    return call


class _Calls:
    """A context manager that counts the messages being answered and refuses those above `MAX_CALLS`."""

    def __init__(self) -> None:
        self.open = 0

    def __enter__(self) -> None:
        if self.open >= MAX_CALLS:
            raise StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The server answers at most {MAX_CALLS} calls at once. Try again later.",
            )
        self.open += 1

    def __exit__(self, *error: object) -> None:
        self.open -= 1


def _add(grpc_server: grpc.aio.Server, calls: _Calls, service: Any, answers: dict[str, Answer]) -> None:
    """Register a service; methods that `answers` leaves out return UNIMPLEMENTED."""
    methods = {
        name: grpc.unary_unary_rpc_method_handler(_handler(calls, service.methods_by_name[name].input_type, answer))
        for name, answer in answers.items()
    }
    grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, methods),))


def _handler(calls: _Calls, input_type: Any, answer: Answer) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """A method that parses the request and serializes the response; a StatusError becomes the call's status."""
    request_class = input_type._concrete_class

    async def call(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            with calls:
                return (await answer(request_class.FromString(data))).SerializeToString()
        except DecodeError:
            code, text = grpc.StatusCode.INTERNAL, f"The request is not a {input_type.full_name} message."
        except StatusError as error:
            code, text = error.code, error.text
        except asyncio.CancelledError:
            raise
        except Exception:  # a bug in the server: the log has the stack trace, not the client
            log.exception("A request failed.")
            code, text = grpc.StatusCode.INTERNAL, "The server failed on this request; its log says why."
        if len(text.encode(errors="replace")) > MAX_ERROR_BYTES:
            text = text.encode(errors="replace")[:MAX_ERROR_BYTES].decode(errors="ignore") + "..."
        await context.abort(code, text)
        raise AssertionError("abort raises")

    return call
