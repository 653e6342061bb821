"""A client of TF Serving's gRPC protocol: numpy in, numpy out, and no TensorFlow."""

import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import numpy as np

from segue.errors import InputError
from serving.client import calls
from serving.client.connection import OPTIONS, POLL_SECONDS, TLS, Attempts


class Client:
    """Calls one model server. Safe to share between threads; close it, or use it in a `with`.

    A call that ends in UNAVAILABLE is repeated, with growing pauses, until its timeout; nothing else is.
    `version` and `label` choose the model's version; without them, the latest loaded one answers. `timeout` is in
    seconds, for a call and its repetitions.

    Args:
        address: `host:port`.
        tls: the files of an encrypted connection; without them it is not encrypted.

    Every method raises:
        InputError: the request breaks a rule, here or on the server; with its text.
        UnavailableError: no answer within the timeout.
        SegueError: any other failure; with the server's text.
    """

    def __init__(self, address: str, tls: TLS | None = None) -> None:
        self.address = address
        if tls is None:
            self._channel = grpc.insecure_channel(address, OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, tls.credentials(), OPTIONS)

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
            version: the version's number.
            label: the version's label, e.g. `stable`.
            outputs: the outputs to return; all if empty.
            timeout: seconds.

        Returns:
            output name -> array; strings are object arrays of bytes.
        """
        return self._run(calls.predict(model, inputs, signature, version, label, outputs), timeout)

    def classify(
        self,
        model: str,
        examples: Sequence[calls.Example],
        context: calls.Example | None = None,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
    ) -> list[list[tuple[str, float]]]:
        """Classify examples, sent as `tf.Example`.

        Args:
            examples: feature name -> text, bytes, a number, or a list or array of one kind of them.
            context: features that all examples share.

        Returns:
            For each example, its (label, score) pairs in the model's order.
        """
        return self._run(calls.classify(model, examples, context, signature, version, label), timeout)

    def regress(
        self,
        model: str,
        examples: Sequence[calls.Example],
        context: calls.Example | None = None,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
    ) -> np.ndarray:
        """The value of each example, float32 `[examples]`; the arguments are those of `classify`."""
        return self._run(calls.regress(model, examples, context, signature, version, label), timeout)

    def metadata(
        self, model: str, version: int | None = None, label: str | None = None, timeout: float = 10.0
    ) -> dict[str, Any]:
        """What a model takes and returns.

        Returns:
            `version`: the number that answered. `signatures`: name -> `inputs` and `outputs`: name ->
            `dtype` as numpy names it, and `shape`: a list with None for an open dimension, or None for an
            open rank.
        """
        return self._run(calls.metadata(model, version, label), timeout)

    def status(
        self, model: str, version: int | None = None, label: str | None = None, timeout: float = 10.0
    ) -> dict[int, dict[str, str]]:
        """version -> `state` (`AVAILABLE`, `LOADING`, `END`, ...) and `error` (empty if none)."""
        return self._run(calls.status(model, version, label), timeout)

    def reload_config(self, config: Any, timeout: float = 60.0) -> None:
        """Give the server its models anew: a `ModelServerConfig`, or its text; returns when they are loaded."""
        self._run(calls.reload_config(config), timeout)

    def wait_ready(self, models: Iterable[str], timeout: float) -> None:
        """Return once every model has a version that answers.

        Raises:
            UnavailableError: after `timeout` seconds; with the state of the first model that is not ready.
        """
        attempts = Attempts(self.address, timeout)
        for model in models:
            while hindrance := self._hindrance(model, attempts.left(POLL_SECONDS)):
                time.sleep(attempts.poll(model, hindrance))

    def _hindrance(self, model: str, timeout: float) -> str:
        """What keeps a model from answering; empty if nothing does."""
        try:
            return calls.hindrance(self.status(model, timeout=timeout))
        except InputError as error:  # not loaded yet is NOT_FOUND
            return error.headline

    def _run(self, call: calls.Call[calls.T], timeout: float) -> calls.T:
        """One call within its timeout, repeated on UNAVAILABLE only."""
        attempts = Attempts(self.address, timeout)
        method = self._channel.unary_unary(call.method)
        while True:
            try:
                return call.parse(method(call.request, timeout=attempts.left()))
            except grpc.RpcError as error:
                pause = attempts.pause_after(error)
            time.sleep(pause)
