"""The synchronous client of TF Serving's gRPC protocol. It takes and returns numpy arrays, without TensorFlow."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from segue.errors import InputError
from serving.client import calls
from serving.client.connection import OPTIONS, POLL_SECONDS, TLS, Attempts, check_address


class Client:
    """Calls one model server. Safe to share between threads. Close it, or use it in a `with`.

    A call that ends in UNAVAILABLE is repeated after growing pauses until its timeout; no other call is repeated.
    `version` or `label` selects the version of the model; without them the latest loaded version answers. `timeout` is
    in seconds and covers a call with its repetitions.

    Args:
        address: `host:port`, or `unix:path`.
        tls: the files of an encrypted connection; None connects without encryption.

    Every method raises:
        InputError: the request breaks a rule of the client, or the server rejects it; the text has the rule.
        UnavailableError: no answer came within the timeout.
        SegueError: any other failure, with the server's text.
    """

    def __init__(self, address: str, tls: TLS | None = None) -> None:
        check_address(address)
        self.address = address
        if tls is None:
            self._channel = grpc.insecure_channel(address, OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, tls.credentials(), OPTIONS)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
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
        """Run a signature on arrays.

        Args:
            model: the name of the model.
            inputs: input name -> array of exactly the signature's dtype; str or bytes for string tensors.
            signature: the name of the signature; `serving_default` if empty.
            version: the version number.
            label: the version label, e.g. `stable`.
            outputs: the names of the outputs to return; all if empty.
            timeout: seconds.

        Returns:
            Output name -> array. String tensors are object arrays of bytes.
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
        """Classify examples, which are sent as `tf.Example`.

        Args:
            model, signature, version, label, timeout: see `predict`.
            examples: each maps feature names to text, bytes, a number, or a list or array of values of one of these
                types.
            context: features that all examples share.

        Returns:
            For each example, its (label, score) pairs in the order of the model.
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
        """Regress examples, and return the value of each, float32 `[examples]`; arguments as in `classify`."""
        return self._run(calls.regress(model, examples, context, signature, version, label), timeout)

    def metadata(
        self, model: str, version: int | None = None, label: str | None = None, timeout: float = 10.0
    ) -> dict[str, Any]:
        """The inputs and outputs of each signature of a model.

        Returns:
            `version`, the number of the version that answered, and `signatures`: signature name -> `inputs` and
            `outputs`, each tensor name -> `dtype` (numpy's name) and `shape` (a list with None for an open dimension;
            None for an open rank). Example of an input: `{"x": {"dtype": "float32", "shape": [None, 2]}}`.
        """
        return self._run(calls.metadata(model, version, label), timeout)

    def status(
        self, model: str, version: int | None = None, label: str | None = None, timeout: float = 10.0
    ) -> dict[int, dict[str, str]]:
        """Version number -> `state` (`AVAILABLE`, `LOADING`, `END`, ...) and `error` (empty if there is none)."""
        return self._run(calls.status(model, version, label), timeout)

    def reload_config(self, config: Any, timeout: float = 60.0) -> None:
        """Replace the configuration of the server's models, and return when the new models are loaded.

        Args:
            config: a `ModelServerConfig`, or its text.
            timeout: seconds.
        """
        self._run(calls.reload_config(config), timeout)

    def wait_ready(self, models: Iterable[str], timeout: float) -> None:
        """Wait until every model has a version that answers.

        Raises:
            UnavailableError: a model is not ready after `timeout` seconds; the text has its state.
        """
        attempts = Attempts(self.address, timeout)
        for model in models:
            while hindrance := self._hindrance(model, attempts.left(POLL_SECONDS)):
                time.sleep(attempts.poll(model, hindrance))

    def _hindrance(self, model: str, timeout: float) -> str:
        """Why a model does not answer yet; empty if it does."""
        try:
            return calls.hindrance(self.status(model, timeout=timeout))
        except InputError as error:  # NOT_FOUND: the server has not found the model yet
            return error.headline

    def _run(self, call: calls.Call[calls.T], timeout: float) -> calls.T:
        """Run a call within its timeout, and repeat it on UNAVAILABLE only."""
        attempts = Attempts(self.address, timeout)
        method = self._channel.unary_unary(call.method)
        while True:
            try:
                return call.parse(method(call.request, timeout=attempts.left()))
            except grpc.RpcError as error:
                pause = attempts.pause_after(error)
            time.sleep(pause)
