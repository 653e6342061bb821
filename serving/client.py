"""A client of TF Serving's gRPC protocol: numpy in, numpy out."""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from segue.errors import InputError, SegueError, UnavailableError
from serving import tensors

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.05, 2.0
POLL_SECONDS = 0.1

_CALLERS_FAULT = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
)
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


class Client:
    """Calls one model server. Safe to share between threads; close it, or use it in a `with`.

    A call that ends in UNAVAILABLE is repeated, with growing pauses, until its timeout; nothing else is.

    Args:
        address: `host:port`.

    Every method raises:
        InputError: the server rejects the request; with its text.
        UnavailableError: no answer within the timeout.
        SegueError: any other failure; with the server's text.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", tensors.MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", tensors.MAX_MESSAGE_BYTES),
                (
                    "grpc.enable_http_proxy",
                    0,
                ),  # a model server is a neighbour; a proxy would take loopback too
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        outputs: Sequence[str] = (),
        timeout: float = 10.0,
    ) -> dict[str, np.ndarray]:
        """Run a signature.

        Args:
            model: the model's name.
            inputs: input name -> array, of exactly the dtype that the signature has; text for string tensors.
            signature: the signature's name; `serving_default` if empty.
            version: the version's number; without it and `label`, the latest loaded one answers.
            label: the version's label, e.g. `stable`.
            outputs: the outputs to return; all if empty.
            timeout: seconds for the call and its repetitions.

        Returns:
            output name -> array; strings are object arrays of bytes.
        """
        try:
            encoded = tensors.encode_all(inputs)
        except tensors.TensorError as error:
            raise InputError(f"An input of model {model} cannot be sent: {error}.", "Convert it first.") from error
        request = predict_pb2.PredictRequest(
            model_spec=_spec(model, version, label, signature), inputs=encoded, output_filter=outputs
        )
        response = self._call(self._prediction.Predict, request, timeout)
        return {name: tensors.decode(proto) for name, proto in response.outputs.items()}

    def metadata(
        self, model: str, version: int | None = None, label: str | None = None, timeout: float = 10.0
    ) -> dict[str, Any]:
        """What a model takes and returns.

        Returns:
            `version`: the number that answered. `signatures`: name -> `inputs` and `outputs`: name ->
            `dtype` as numpy names it, and `shape`: a list with None for an open dimension, or None for an
            open rank.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=_spec(model, version, label), metadata_field=["signature_def"]
        )
        response = self._call(self._prediction.GetModelMetadata, request, timeout)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            "version": response.model_spec.version.value,
            "signatures": {
                name: {"inputs": _infos(signature.inputs), "outputs": _infos(signature.outputs)}
                for name, signature in signatures.signature_def.items()
            },
        }

    def status(
        self, model: str, version: int | None = None, label: str | None = None, timeout: float = 10.0
    ) -> dict[int, dict[str, str]]:
        """version -> `state` (`AVAILABLE`, `LOADING`, `END`, ...) and `error` (empty if none)."""
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(model, version, label))
        response = self._call(self._models.GetModelStatus, request, timeout)
        states = get_model_status_pb2.ModelVersionStatus.State
        return {
            entry.version: {"state": states.Name(entry.state), "error": entry.status.error_message}
            for entry in response.model_version_status
        }

    def wait_ready(self, models: Iterable[str], timeout: float) -> None:
        """Return once every model has a version that answers.

        Raises:
            UnavailableError: after `timeout` seconds; with the state of the first model that is not ready.
        """
        deadline = time.monotonic() + timeout
        for model in models:
            while (state := self._state(model, deadline)) != "AVAILABLE":
                if time.monotonic() + POLL_SECONDS >= deadline:
                    raise UnavailableError(
                        f"Model {model} is not ready at {self.address} after {timeout:g} s: {state}.",
                        "See the server's log.",
                    )
                time.sleep(POLL_SECONDS)

    def _state(self, model: str, deadline: float) -> str:
        """AVAILABLE, or what keeps the model from it."""
        try:
            versions = self.status(model, timeout=max(deadline - time.monotonic(), POLL_SECONDS))
        except InputError as error:  # not loaded yet is NOT_FOUND
            return error.headline
        if any(entry["state"] == "AVAILABLE" for entry in versions.values()):
            return "AVAILABLE"
        return "; ".join(f"version {v} is {e['state']} {e['error']}".strip() for v, e in versions.items())

    def _call(self, method: Callable[..., Any], request: Any, timeout: float) -> Any:
        """One call within its timeout, repeated on UNAVAILABLE only."""
        deadline = time.monotonic() + timeout
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                return method(request, timeout=max(deadline - time.monotonic(), 0.001))
            except grpc.RpcError as error:
                code, text = error.code(), error.details() or ""
                # A random share of the pause, so that many clients do not come back in one instant.
                pause = wait * random.uniform(0.5, 1.0)
                if code is not grpc.StatusCode.UNAVAILABLE or time.monotonic() + pause >= deadline:
                    raise self._as_error(code, text, timeout) from error
            time.sleep(pause)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def _as_error(self, code: grpc.StatusCode, text: str, timeout: float) -> SegueError:
        if code in _CALLERS_FAULT:
            return InputError(f"The model server at {self.address} rejects the request: {text}", "")
        if code in _PASSING:
            return UnavailableError(
                f"The model server at {self.address} gave no answer in {timeout:g} s ({code.name}): {text}",
                "Check that it runs (`segue serve`) and that the address is right, or allow more time.",
            )
        return SegueError(f"The model server at {self.address} failed ({code.name}): {text}", "See its log.")


def _spec(model: str, version: int | None, label: str | None, signature: str = "") -> model_pb2.ModelSpec:
    if version is not None and label is not None:
        raise InputError(
            f"A request names a version or a label, not both. Received {version} and {label!r}.",
            "Leave one out.",
        )
    spec = model_pb2.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def _infos(infos: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """dtype and shape of a signature's tensors."""
    return {
        name: {
            "dtype": tensors.numpy_name(info.dtype),
            "shape": None
            if info.tensor_shape.unknown_rank
            else [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim],
        }
        for name, info in infos.items()
    }
