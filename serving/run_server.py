"""The model server: TF Serving's gRPC services and REST API on one event loop, and the thread that follows the disk."""

import asyncio
import logging
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import uvicorn
import uvloop

from segue.errors import InputError, SegueError
from serving.api import grpc_services as grpc_api
from serving.api.http_protocol import LimitedProtocol
from serving.api.rest import RestApp
from serving.api.service import Service
from serving.protocol.status import StatusError
from serving.server import warmup
from serving.server.batching import Scheduler
from serving.server.loader import LoadedModel
from serving.server.manager import ModelManager
from serving.server.metrics import Metrics
from serving.server.servable import Servable
from serving.server_config import ServerConfig

log = logging.getLogger("segue.serving")

STOP_GRACE_SECONDS = 5.0
# Every connection is a file; the usual limit of 1,024 is soon reached by idle ones.
OPEN_FILES = 65_536


class ModelServer:
    """A running server: `with ModelServer(ServerConfig(...)) as server: server.address`.

    Entering loads the models, then answers; leaving stops the threads and frees the models.

    Args:
        settings: what to serve, where and how.

    Attributes:
        address: where gRPC answers: `host:port`, or `unix:path` where there is no port.
        rest_address: where REST answers, `host:port`; empty if it does not.

    Raises:
        InputError: on entering: a bad configuration, or a port that is taken.
        SegueError: on entering: a model or a label has no version that loads; with the cause.
    """

    def __init__(self, settings: ServerConfig) -> None:
        self.settings = settings
        self.address = ""
        self.rest_address = ""
        self._stopping = threading.Event()
        self._metrics = Metrics()
        self._scheduler = Scheduler(settings.batching, self._metrics)
        self._loop = uvloop.new_event_loop()  # a tenth less CPU a request than asyncio's own
        self._health = grpc_api.Health()
        self._service = Service(
            ModelManager(self._load, settings.retries, settings.labels),
            self._metrics,
            settings.rules,
            settings.tags,
            self._report_health,
        )
        self._threads: list[threading.Thread] = []
        self._grpc: grpc.aio.Server | None = None
        self._rest: uvicorn.Server | None = None
        self._rest_task: asyncio.Task | None = None

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
        """Take the ports, load the models, then answer."""
        settings = self.settings
        _allow_connections()
        self._run("segue-serving", self._loop.run_forever)
        listening = self._await(self._bind())
        try:
            self._service.reload(settings.read_models(), self._stopping.wait)
        except StatusError as error:
            raise SegueError(
                f"Failed to start server: {error.text}.",
                "Correct the path, or point the label or the version policy at a version that loads.",
            ) from error
        self._await(self._answer(listening))
        self._every(settings.file_system_poll_wait_seconds, self._service.update)
        if settings.model_config_file is not None:
            self._every(
                settings.model_config_file_poll_wait_seconds,
                # Not waiting for retries: the next reading may bring what is missing.
                lambda: self._service.reload(settings.read_models(), lambda _: True),
            )
        log.info("Running gRPC ModelServer at %s ...", self.address)
        if self.rest_address:
            log.info("Exporting HTTP/REST API at:%s ...", self.rest_address)

    def wait(self) -> None:
        """Return when `request_stop` is called."""
        self._stopping.wait()

    def request_stop(self) -> None:
        """Make `wait` return. Safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Let the requests under way end, then free everything. May be called twice."""
        self._stopping.set()
        if self._loop.is_closed():
            return
        if self._loop.is_running():
            self._await(self._end())
        self._scheduler.close()
        # The loop still runs: what loads at this moment may be warming up on it.
        for thread in self._threads[1:]:
            thread.join()
        self._service.close()
        if self._threads:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._threads[0].join()
        self._loop.close()

    def _load(self, name: str, version: int, folder: Path) -> Servable:
        """A version, loaded and warmed up."""
        settings, metrics, began = self.settings, self._metrics, time.perf_counter()
        status = "success"
        try:
            model = LoadedModel(folder, settings.parallelism, settings.tags)
        except StatusError:
            status = "fail"
            raise
        finally:
            metrics.loads.inc(str(folder), status)
            metrics.load_latency.inc(str(folder), by=(time.perf_counter() - began) * 1e6)
        servable = Servable(name, version, model, self._scheduler)
        if settings.warmup_iterations:
            began = time.perf_counter()
            try:
                warmup.replay(
                    folder,
                    lambda kind, request: self._await(self._service.warm_up(servable, kind, request)),
                    settings.warmup_iterations,
                )
            except BaseException:
                model.close()
                raise
            metrics.warmup.observe((time.perf_counter() - began) * 1e6, str(folder), "OK")
        return servable

    async def _bind(self) -> list[socket.socket]:
        """Take the ports, so that one that is taken is known before a model is loaded."""
        settings = self.settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host  # IPv6
        self._grpc = grpc_api.server(
            self._service,
            self._health if settings.health else None,
            settings.grpc_channel_arguments,
            self._stopping.wait,
        )
        credentials = grpc_api.credentials(settings.tls) if settings.tls else None
        addresses = [f"unix:{settings.grpc_socket_path}"] if settings.grpc_socket_path else []
        if settings.port is not None:
            addresses.append(f"{host}:{settings.port}")
        for address in addresses:
            try:
                port = (
                    self._grpc.add_secure_port(address, credentials)
                    if credentials
                    else self._grpc.add_insecure_port(address)
                )
            except RuntimeError as error:
                raise _taken(address) from error
            self.address = address if address.startswith("unix:") else f"{host}:{port}"
        if settings.rest_port is None:
            return []
        # With its protocol named: else asyncio leaves Nagle's algorithm on, and answers wait 40 ms.
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, settings.rest_port))
        except OSError as error:
            listening.close()
            raise _taken(f"{host}:{settings.rest_port}") from error
        self.rest_address = f"{host}:{listening.getsockname()[1]}"
        return [listening]

    async def _answer(self, listening: list[socket.socket]) -> None:
        assert self._grpc is not None
        await self._grpc.start()
        if listening:
            settings = self.settings
            app = RestApp(
                self._service,
                settings.metrics_path,
                settings.rest_timeout_seconds,
                settings.rest_cors,
            )
            self._rest = uvicorn.Server(
                uvicorn.Config(
                    app,
                    http=LimitedProtocol,
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    log_level="warning",
                    access_log=False,
                    proxy_headers=False,
                    server_header=False,
                    timeout_graceful_shutdown=int(STOP_GRACE_SECONDS),
                )
            )
            self._rest_task = asyncio.ensure_future(self._rest.serve(listening))

    async def _end(self) -> None:
        if self._rest is not None and self._rest_task is not None:
            self._rest.should_exit = True
            await self._rest_task
        if self._grpc is not None:
            self._health.stop()
            await self._grpc.stop(STOP_GRACE_SECONDS)

    def _report_health(self) -> None:
        manager = self._service.manager
        self._loop.call_soon_threadsafe(self._health.report, manager.models(), set(manager.available()))

    def _await(self, coroutine: Any) -> Any:
        """The result of a coroutine on the server's loop, for other threads."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self, name: str, target: Callable[[], Any]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

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
                        log.error("cannot follow the configuration: %s", error)
                    last = str(error)

        self._run("segue-serving-poll", loop)


def _allow_connections() -> None:
    """Raise this process's limit of open files as far as it may, if it is low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _taken(address: str) -> InputError:
    return InputError(
        f"The server cannot listen on {address}: the port is taken, or the address is not ours.",
        "Stop the other server, or give another --port, --rest_api_port or --host.",
    )
