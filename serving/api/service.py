"""All that the server does for a caller, whichever way the call came: look up, answer, count, log."""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from grpc import StatusCode
from tensorflow_serving.apis import model_management_pb2

from segue.errors import InputError
from serving.api import example_calls as examples
from serving.api import handlers
from serving.api.request_log import RequestLogger
from serving.protocol import config_files as config
from serving.protocol.config_files import ModelConfig
from serving.protocol.status import StatusError, invalid
from serving.server.manager import ModelManager
from serving.server.metrics import Metrics
from serving.server.servable import Servable

log = logging.getLogger("segue.serving")

_INFERENCE = {
    "predict": (handlers.predict, "Predict"),
    "classify": (examples.classify, "Classify"),
    "regress": (examples.regress, "Regress"),
    "multi_inference": (examples.multi_inference, "MultiInference"),
}


class Service:
    """The services of TF Serving, without a transport.

    Args:
        manager: the models.
        metrics: where requests are counted.
        rules: how requests are answered.
        tags: what the models were loaded with, for request logs.
        changed: called after every change of what is loaded.

    Attributes:
        reloads: the thread for `handle_reload`: calls of it wait for each other anyway.
    """

    def __init__(
        self,
        manager: ModelManager,
        metrics: Metrics,
        rules: handlers.Rules,
        tags: Sequence[str],
        changed: Callable[[], None],
    ) -> None:
        self.manager = manager
        self.metrics = metrics
        self._rules = rules
        self._tags = tags
        self._changed = changed
        self._reloading = threading.Lock()
        self.reloads = ThreadPoolExecutor(1, thread_name_prefix="segue-serving-reload")
        self._loggers: dict[str, tuple[bytes, RequestLogger]] = {}

    async def infer(self, kind: str, request: Any, entrypoint: str = "GRPC") -> Any:
        """Answer one request to a model.

        Args:
            kind: `predict`, `classify`, `regress` or `multi_inference`.
            request: its message.
            entrypoint: `GRPC` or `REST`, for the metrics.

        Raises:
            StatusError: as TF Serving answers it.
        """
        began = time.perf_counter()
        name, code = "", StatusCode.INTERNAL
        try:
            spec = _multi_spec(request) if kind == "multi_inference" else handlers.read_spec(request)
            with self.manager.lease(*spec) as servable:
                name = servable.name
                started = time.perf_counter()
                response = await _INFERENCE[kind][0](servable, request, self._rules)
                self.metrics.runtime.observe((time.perf_counter() - started) * 1e6, name, _INFERENCE[kind][1], "TF1")
                self._log(servable, kind, request, response)
            code = StatusCode.OK
            return response
        except StatusError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = StatusCode.CANCELLED
            raise
        finally:
            # Only names of models that were found: a label for every name that is tried would have no bound.
            self.metrics.requests.inc(name, code.name)
            if code is StatusCode.OK:
                elapsed = (time.perf_counter() - began) * 1e6
                # As TF Serving labels them: REST by the method in its URLs.
                api = kind if entrypoint == "REST" else _INFERENCE[kind][1]
                self.metrics.latency.observe(elapsed, name, api, entrypoint)
                if kind != "predict":
                    count = len(getattr(request.input, request.input.WhichOneof("kind")).examples)
                    self.metrics.examples.observe(count, name)
                    self.metrics.examples_total.inc(name, by=count)

    async def warm_up(self, servable: Servable, kind: str, request: Any) -> None:
        """Answer a request with a version that is not available yet; nothing is counted or logged.

        Raises:
            StatusError: as TF Serving answers it.
        """
        await _INFERENCE[kind][0](servable, request, self._rules)

    def metadata(self, request: Any) -> Any:
        """GetModelMetadata.

        Raises:
            StatusError: as TF Serving answers it.
        """
        with self.manager.lease(*handlers.read_spec(request)) as servable:
            return handlers.get_model_metadata(servable, request)

    def status(self, request: Any) -> Any:
        """GetModelStatus.

        Raises:
            StatusError: as TF Serving answers it.
        """
        return handlers.get_model_status(self.manager, request)

    def handle_reload(self, request: Any, wait: Callable[[float], bool]) -> Any:
        """HandleReloadConfigRequest; returns when the new models are loaded. Not for the event loop's thread.

        Args:
            request: its message.
            wait: see `ModelManager.reload`.

        Raises:
            StatusError: as TF Serving answers it.
        """
        kind = request.config.WhichOneof("config")
        if kind == "custom_model_config":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        try:
            if kind is None:
                log.info("Taking no action for empty config.")
            else:
                self.reload(config.models_of(request.config), wait)
        except InputError as error:
            raise invalid(error.headline) from error
        except StatusError as error:
            log.error("ReloadConfig failed: %s", error.text)
            raise
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return response

    def reload(self, configs: Sequence[ModelConfig], wait: Callable[[float], bool]) -> None:
        """Serve these models from now on; see `ModelManager.reload`.

        Raises:
            StatusError: see `ModelManager.reload` and `RequestLogger`.
        """
        with self._reloading, contextlib.ExitStack() as unused:
            loggers = self._next_loggers(configs, unused)
            try:
                self.manager.reload(configs, wait)
            finally:
                self._changed()
            unused.pop_all()
            self._swap_loggers(loggers)

    def update(self) -> None:
        """Follow the folders of the models; see `ModelManager.update`."""
        self.manager.update()
        self._changed()

    def close(self) -> None:
        """Unload the models, end the request logs. No request may be under way."""
        self.reloads.shutdown(cancel_futures=True)
        self.manager.close()
        self._swap_loggers({})

    def _log(self, servable: Servable, kind: str, request: Any, response: Any) -> None:
        """Put a request into its model's request log, if it has one and the request is drawn."""
        logger = self._loggers.get(servable.name)
        if logger is None or not logger[1].should_log():
            return
        spec = response.results[0].model_spec if kind == "multi_inference" else response.model_spec
        logger[1].log(kind, request, response, spec)
        self.metrics.logged.inc(servable.name, StatusCode.OK.name)

    def _next_loggers(
        self, configs: Sequence[ModelConfig], unused: contextlib.ExitStack
    ) -> dict[str, tuple[bytes, RequestLogger]]:
        """The request logs that a configuration asks for; those that stay the same are kept open.

        Args:
            configs: all of the models.
            unused: closes the new ones, should they not come into use.
        """
        loggers: dict[str, tuple[bytes, RequestLogger]] = {}
        for entry in configs:
            if entry.logging_config is None:
                continue
            wanted = entry.logging_config.SerializeToString(deterministic=True)
            known = self._loggers.get(entry.name)
            if known is None or known[0] != wanted:
                known = wanted, RequestLogger(entry.logging_config, time.time, random.Random(), self._tags)
                unused.callback(known[1].close)
            loggers[entry.name] = known
        return loggers

    def _swap_loggers(self, loggers: dict[str, tuple[bytes, RequestLogger]]) -> None:
        before, self._loggers = self._loggers, loggers
        for name, known in before.items():
            if loggers.get(name) is not known:
                known[1].close()


def _multi_spec(request: Any) -> tuple[str, int | None, str | None]:
    """The ModelSpec of a MultiInference request is that of its first task."""
    return handlers.unpack_spec(request.tasks[0].model_spec) if request.tasks else ("", None, None)
