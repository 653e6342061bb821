"""The model server: TF Serving's gRPC services over a thread pool, and the threads that follow the disk."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from segue.errors import InputError
from serving import config, handlers
from serving.config import ModelConfig
from serving.loader import LoadedModel, Parallelism
from serving.manager import ModelManager, not_ready
from serving.status import StatusError
from serving.tensors import MAX_MESSAGE_BYTES

log = logging.getLogger("segue.serving")

# Session calls release the interpreter's lock; more threads than this only wait for cores.
WORKERS = 8
# gRPC carries the text in a header, and headers over 8 KiB make the whole answer unreadable.
MAX_ERROR_TEXT = 1024
STOP_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class ServerConfig:
    """What to serve and where. Give a `model_config_file`, or `models`.

    Attributes:
        model_config_file: a text proto of ModelServerConfig.
        models: the models themselves, where there is no file.
        host: the address to listen on.
        port: the port to listen on; 0 takes a free one.
        file_system_poll_wait_seconds: how often to look for versions; 0 or less: only once, at the start.
        model_config_file_poll_wait_seconds: how often to read the file again; 0 or less: never.
        parallelism: TensorFlow's threads for each model.
    """

    model_config_file: Path | None = None
    models: Sequence[ModelConfig] = ()
    host: str = "127.0.0.1"
    port: int = 0
    file_system_poll_wait_seconds: float = 1.0
    model_config_file_poll_wait_seconds: float = 0.0
    parallelism: Parallelism = field(default_factory=Parallelism)

    def read_models(self) -> list[ModelConfig]:
        """The models to serve, read anew.

        Raises:
            InputError: the file cannot be read or parsed.
        """
        if self.model_config_file is None:
            return list(self.models)
        path = self.model_config_file
        return config.parse_config(config.read_text(path, "model config file"), str(path))


class ModelServer:
    """A running server: `with ModelServer(ServerConfig(...)) as server: server.address`.

    Entering loads the models, then answers; leaving stops the threads and frees the models.

    Args:
        settings: what to serve and where.

    Raises:
        InputError: on entering: a bad configuration, or a port that is taken.
        SegueError: on entering: a model or a label has no version that loads; with the cause.
    """

    def __init__(self, settings: ServerConfig) -> None:
        self.settings = settings
        self.address = ""
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._grpc: grpc.Server | None = None
        self._manager: ModelManager | None = None

    def __enter__(self) -> "ModelServer":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Load the models and begin to answer."""
        settings = self.settings
        self._manager = manager = ModelManager(
            settings.read_models(), lambda path: LoadedModel(path, settings.parallelism)
        )
        host = f"[{settings.host}]" if ":" in settings.host else settings.host  # IPv6
        self._grpc, port = _grpc_server(manager, host, settings.port)
        manager.update()
        if problems := manager.problems():
            raise not_ready(problems)
        self._grpc.start()
        self.address = f"{host}:{port}"
        self._every(settings.file_system_poll_wait_seconds, manager.update)
        if settings.model_config_file is not None:
            self._every(settings.model_config_file_poll_wait_seconds, lambda: manager.update(settings.read_models()))
        log.info("serving %s at %s", manager.available(), self.address)

    def wait(self) -> None:
        """Return when `request_stop` is called."""
        self._stopping.wait()

    def request_stop(self) -> None:
        """Make `wait` return. Safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Let the requests under way end, then free everything. May be called twice."""
        self._stopping.set()
        if self._grpc is not None:
            self._grpc.stop(STOP_GRACE_SECONDS).wait()
        for thread in self._threads:
            thread.join()
        if self._manager is not None:
            self._manager.close()
        self._grpc, self._manager, self._threads = None, None, []

    def _every(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` again and again until the server stops; an error is logged once and ends nothing."""
        if seconds <= 0:
            return

        def loop() -> None:
            last = ""
            while not self._stopping.wait(seconds):
                try:
                    action()
                    last = ""
                except Exception as error:  # the previous state keeps answering
                    if str(error) != last:
                        log.error("cannot follow the configuration, the models stay as they are: %s", error)
                    last = str(error)

        thread = threading.Thread(target=loop, name="segue-serving-poll", daemon=True)
        thread.start()
        self._threads.append(thread)


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the base class answers UNIMPLEMENTED to the rest."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(handlers.predict, self._manager, request, context)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(handlers.get_model_metadata, self._manager, request, context)


class _ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; the base class answers UNIMPLEMENTED to the rest."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _answer(handlers.get_model_status, self._manager, request, context)


def _answer(
    handler: Callable[[ModelManager, Any], Any],
    manager: ModelManager,
    request: Any,
    context: grpc.ServicerContext,
) -> Any:
    """Call a handler; its StatusError becomes the call's status."""
    try:
        return handler(manager, request)
    except StatusError as error:
        code, text = error.code, error.text
    except Exception:  # a fault of ours; the client gets no stack trace
        log.exception("a request failed")
        code, text = grpc.StatusCode.INTERNAL, "The server failed on this request; its log says why."
    if len(text) > MAX_ERROR_TEXT:
        text = text[:MAX_ERROR_TEXT] + "..."
    context.abort(code, text)


def _grpc_server(manager: ModelManager, host: str, port: int) -> tuple[grpc.Server, int]:
    """A server that is bound but not started, and its port."""
    server = grpc.server(
        futures.ThreadPoolExecutor(WORKERS, thread_name_prefix="segue-serving"),
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            (
                "grpc.so_reuseport",
                0,
            ),  # else a second server shares the port, and every other request, in silence
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_PredictionService(manager), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_ModelService(manager), server)
    try:
        return server, server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise InputError(
            f"The server cannot listen on {host}:{port}: the port is taken, or the address is not ours.",
            "Stop the other server, or give another --port or --host.",
        ) from error
