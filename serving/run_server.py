"""The model server: TF Serving's gRPC services and REST API on one event loop, and threads that watch the disk."""

import asyncio
import logging
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import uvicorn
import uvloop

from segue.errors import InputError, SegueError
from serving.api import grpc_services
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
# Every connection is an open file, and idle connections alone can reach the usual limit of 1,024.
OPEN_FILES = 65_536


class ModelServer:
    """A running server: `with ModelServer(ServerConfig(...)) as server: server.address`.

    Entering the context loads the models and then answers requests. Leaving it ends the threads and frees the models.

    Args:
        settings: the models, the addresses and how requests are answered.

    Attributes:
        address: the address of gRPC: `host:port`, or `unix:path` if there is no port.
        rest_address: the address of REST, `host:port`; empty without REST.

    Raises:
        InputError: on entering, if the configuration is invalid or a port is taken.
        SegueError: on entering, if a model has no version that loads or a label names no loaded version; the text has
            the cause.
    """

    def __init__(self, settings: ServerConfig) -> None:
        self.settings = settings
        self.address = ""
        self.rest_address = ""
        self._stopping = threading.Event()
        self._metrics = Metrics()
        self._scheduler = Scheduler(settings.batching, self._metrics)
        self._loop = uvloop.new_event_loop()  # takes a tenth less CPU time a request than asyncio's own loop
        self._health = grpc_services.Health()
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

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        """Bind the ports, load the models, and answer requests from then on."""
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
                # Do not wait for retries: the next reading of the file may name other versions.
                lambda: self._service.reload(settings.read_models(), lambda _: True),
            )
        log.info("Running gRPC ModelServer at %s ...", self.address)
        if self.rest_address:
            log.info("Exporting HTTP/REST API at:%s ...", self.rest_address)

    def wait(self) -> None:
        """Wait until `request_stop` is called."""
        self._stopping.wait()

    def request_stop(self) -> None:
        """Make `wait` return. Safe in a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Wait for the requests under way, then end the threads and free the models. May be called twice."""
        self._stopping.set()
        if self._loop.is_closed():
            return
        if self._loop.is_running():
            self._await(self._end())
        self._scheduler.close()
        # The loop still runs here, because a version that is being loaded may run its warm-up requests on it.
        for thread in self._threads[1:]:
            thread.join()
        self._service.close()
        if self._threads:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._threads[0].join()
        self._loop.close()

    def _load(self, name: str, version: int, folder: Path) -> Servable:
        """Load a version and run its warm-up requests."""
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
                    lambda method, request: self._await(self._service.warm_up(servable, method, request)),
                    settings.warmup_iterations,
                )
            except BaseException:
                model.close()
                raise
            metrics.warmup.observe((time.perf_counter() - began) * 1e6, str(folder), "OK")
        return servable

    async def _bind(self) -> list[socket.socket]:
        """Bind the ports before any model is loaded, so that a taken port is reported at once.

        Returns:
            The listening socket of REST; empty without REST.
        """
        settings = self.settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host  # IPv6
        self._grpc = grpc_services.server(
            self._service,
            self._health if settings.health else None,
            settings.grpc_channel_arguments,
            self._stopping.wait,
        )
        credentials = grpc_services.credentials(settings.tls) if settings.tls else None
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
                raise _refused(address, settings.host, settings.port) from error
            self.address = address if address.startswith("unix:") else f"{host}:{port}"
        if settings.rest_port is None:
            return []
        # asyncio turns Nagle's algorithm off only for a socket whose protocol is named; with it, answers wait 40 ms.
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, settings.rest_port))
        except OSError as error:
            listening.close()
            raise _refused(f"{host}:{settings.rest_port}", settings.host, settings.rest_port) from error
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
        """Run a coroutine on the server's loop and return its result; for other threads than the loop's."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self, name: str, target: Callable[[], Any]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _every(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` at an interval until the server stops. An error is logged, once while it repeats."""
        if seconds <= 0:
            return

        def loop() -> None:
            last = ""
            while not self._stopping.wait(seconds):
                try:
                    action()
                    last = ""
                except Exception as error:  # the versions that are loaded keep answering
                    if str(error) != last:
                        log.error("cannot follow the configuration: %s", error)
                    last = str(error)

        self._run("segue-serving-poll", loop)


def _allow_connections() -> None:
    """Raise the limit of open files of this process to `OPEN_FILES`, or as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _refused(address: str, host: str, port: int | None) -> InputError:
    """The error for an address that cannot be bound. It tries again itself, because gRPC does not tell the reason."""
    reason = "gRPC cannot bind it"
    try:
        if port is not None and not address.startswith("unix:"):
            family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as trial:
                trial.bind(target)
    except socket.gaierror as error:
        reason = f"the host does not resolve ({error.strerror})"
    except OSError as error:
        reason = str(error.strerror)
    return InputError(
        f"The server cannot listen on {address}: {reason}.",
        "Stop the other server, or give another --port, --rest_api_port or --host.",
    )
