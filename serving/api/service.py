"""Answering a call, for gRPC and REST alike: find the model, run it, count the call, log it."""

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
from serving.api import example_calls, handlers
from serving.api.request_log import RequestLogger
from serving.protocol import config_files
from serving.protocol.config_files import ModelConfig
from serving.protocol.status import StatusError, invalid
from serving.server.manager import ModelManager
from serving.server.metrics import Metrics
from serving.server.servable import Servable

log = logging.getLogger("segue.serving")

_INFERENCE = {
    "predict": (handlers.predict, "Predict"),
    "classify": (example_calls.classify, "Classify"),
    "regress": (example_calls.regress, "Regress"),
    "multi_inference": (example_calls.multi_inference, "MultiInference"),
}


class Service:
    """TF Serving's services, independent of the transport.

    Args:
        manager: the models.
        metrics: counts the requests.
        rules: choices in answering requests.
        tags: the tags that the models were loaded with, for request logs.
        changed: called each time that a reload or an update may have changed the loaded versions.

    Attributes:
        reloads: the thread for `handle_reload`; one is enough, because reloads wait for each other.
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

    async def infer(self, method: str, request: Any, entrypoint: str = "GRPC") -> Any:
        """Answer one request to a model.

        Args:
            method: `predict`, `classify`, `regress` or `multi_inference`.
            request: the request's message.
            entrypoint: `GRPC` or `REST`, for the metrics.

        Raises:
            StatusError: the request breaks a rule or names a model that is not served; code and text are TF Serving's.
        """
        began = time.perf_counter()
        name, code = "", StatusCode.INTERNAL
        try:
            spec = _multi_spec(request) if method == "multi_inference" else handlers.read_spec(request)
            with self.manager.lease(*spec) as servable:
                name = servable.name
                started = time.perf_counter()
                response = await _INFERENCE[method][0](servable, request, self._rules)
                self.metrics.runtime.observe((time.perf_counter() - started) * 1e6, name, _INFERENCE[method][1], "TF1")
                self._log(servable, method, request, response)
            code = StatusCode.OK
            return response
        except StatusError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = StatusCode.CANCELLED
            raise
        finally:
            # Only names of served models become labels, since clients can try any number of other names.
            self.metrics.requests.inc(name, code.name)
            if code is StatusCode.OK:
                elapsed = (time.perf_counter() - began) * 1e6
                # TF Serving labels REST calls by the method in the URL, e.g. `predict`, and gRPC calls by `Predict`.
                api = method if entrypoint == "REST" else _INFERENCE[method][1]
                self.metrics.latency.observe(elapsed, name, api, entrypoint)
                if method != "predict":
                    count = len(getattr(request.input, request.input.WhichOneof("kind")).examples)
                    self.metrics.examples.observe(count, name)
                    self.metrics.examples_total.inc(name, by=count)

    async def warm_up(self, servable: Servable, method: str, request: Any) -> None:
        """Run a warm-up request on a version that is not available yet, without counting or logging it.

        Raises:
            StatusError: the request breaks a rule; code and text are TF Serving's.
        """
        await _INFERENCE[method][0](servable, request, self._rules)

    def metadata(self, request: Any) -> Any:
        """The answer to GetModelMetadata: the signatures of a version.

        Raises:
            StatusError: the request breaks a rule or names a model that is not served; code and text are TF Serving's.
        """
        with self.manager.lease(*handlers.read_spec(request)) as servable:
            return handlers.get_model_metadata(servable, request)

    def status(self, request: Any) -> Any:
        """The answer to GetModelStatus: the states of a model's versions.

        Raises:
            StatusError: the request breaks a rule or names a model that is not served; code and text are TF Serving's.
        """
        return handlers.get_model_status(self.manager, request)

    def handle_reload(self, request: Any, wait: Callable[[float], bool]) -> Any:
        """The answer to HandleReloadConfigRequest, once the new models are loaded.

        Do not call this on the event loop's thread, which it would block.

        Args:
            request: the request's message.
            wait: see `ModelManager.reload`.

        Raises:
            StatusError: the configuration breaks a rule or a model cannot be loaded; code and text are TF Serving's.
        """
        config_type = request.config.WhichOneof("config")
        if config_type == "custom_model_config":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        try:
            if config_type is None:
                log.info("Taking no action for empty config.")
            else:
                self.reload(config_files.models_of(request.config), wait)
        except InputError as error:
            raise invalid(error.headline) from error
        except StatusError as error:
            log.error("ReloadConfig failed: %s", error.text)
            raise
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()
        return response

    def reload(self, configs: Sequence[ModelConfig], wait: Callable[[float], bool]) -> None:
        """Replace the served models; see `ModelManager.reload`.

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
        """Load and unload versions as the models' folders have changed; see `ModelManager.update`."""
        self.manager.update()
        self._changed()

    def close(self) -> None:
        """Unload the models and close the request logs. No request may be running."""
        self.reloads.shutdown(cancel_futures=True)
        self.manager.close()
        self._swap_loggers({})

    def _log(self, servable: Servable, method: str, request: Any, response: Any) -> None:
        """Write a request to its model's request log, if the model has one and the request is in the sample."""
        logger = self._loggers.get(servable.name)
        if logger is None or not logger[1].should_log():
            return
        spec = response.results[0].model_spec if method == "multi_inference" else response.model_spec
        logger[1].log(method, request, response, spec)
        self.metrics.logged.inc(servable.name, StatusCode.OK.name)

    def _next_loggers(
        self, configs: Sequence[ModelConfig], unused: contextlib.ExitStack
    ) -> dict[str, tuple[bytes, RequestLogger]]:
        """The request logs of a configuration: model name -> (serialized LoggingConfig, logger).

        A logger whose LoggingConfig stays the same is kept open.

        Args:
            configs: all models.
            unused: gets a callback that closes each new logger, for a reload that fails.
        """
        loggers: dict[str, tuple[bytes, RequestLogger]] = {}
        for entry in configs:
            if entry.logging_config is None:
                continue
            settings = entry.logging_config.SerializeToString(deterministic=True)
            logger = self._loggers.get(entry.name)
            if logger is None or logger[0] != settings:
                logger = settings, RequestLogger(entry.logging_config, time.time, random.Random(), self._tags)
                unused.callback(logger[1].close)
            loggers[entry.name] = logger
        return loggers

    def _swap_loggers(self, loggers: dict[str, tuple[bytes, RequestLogger]]) -> None:
        """Use these request logs from now on, and close those that are no longer used."""
        before, self._loggers = self._loggers, loggers
        for name, logger in before.items():
            if loggers.get(name) is not logger:
                logger[1].close()


def _multi_spec(request: Any) -> tuple[str, int | None, str | None]:
    """Name, version and label in the ModelSpec of a MultiInference request's first task, which counts for all tasks."""
    return handlers.unpack_spec(request.tasks[0].model_spec) if request.tasks else ("", None, None)
