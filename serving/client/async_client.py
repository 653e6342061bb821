"""The client for asyncio: the same methods as the synchronous client, as coroutines."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from segue.errors import InputError
from serving.client import calls
from serving.client.connection import OPTIONS, POLL_SECONDS, TLS, Attempts, check_address


class AsyncClient:
    """Calls one model server from an event loop.

    Every method takes, returns and raises the same as its namesake in `serving.client.sync_client.Client`. Create the
    client inside the event loop that uses it, and close it or use it in an `async with`.

    Args:
        address: `host:port`, or `unix:path`.
        tls: the files of an encrypted connection; None connects without encryption.
    """

    def __init__(self, address: str, tls: TLS | None = None) -> None:
        check_address(address)
        self.address = address
        if tls is None:
            self._channel = grpc.aio.insecure_channel(address, OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(address, tls.credentials(), OPTIONS)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        outputs: Sequence[str] = (),
        timeout: float = 10.0,
    ) -> dict[str, np.ndarray]:
        """Run a signature on arrays, and return the outputs by name."""
        return await self._run(calls.predict(model, inputs, signature, version, label, outputs), timeout)

    async def classify(
        self,
        model: str,
        examples: Sequence[calls.Example],
        context: calls.Example | None = None,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
    ) -> list[list[tuple[str, float]]]:
        """Classify examples, and return the (label, score) pairs of each."""
        return await self._run(calls.classify(model, examples, context, signature, version, label), timeout)

    async def regress(
        self,
        model: str,
        examples: Sequence[calls.Example],
        context: calls.Example | None = None,
        signature: str = "",
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
    ) -> np.ndarray:
        """Regress examples, and return the value of each, float32 `[examples]`."""
        return await self._run(calls.regress(model, examples, context, signature, version, label), timeout)

    async def metadata(
        self, model: str, version: int | None = None, label: str | None = None, timeout: float = 10.0
    ) -> dict[str, Any]:
        """The inputs and outputs of each signature of a model."""
        return await self._run(calls.metadata(model, version, label), timeout)

    async def status(
        self, model: str, version: int | None = None, label: str | None = None, timeout: float = 10.0
    ) -> dict[int, dict[str, str]]:
        """The `state` and `error` of each version of a model."""
        return await self._run(calls.status(model, version, label), timeout)

    async def reload_config(self, config: Any, timeout: float = 60.0) -> None:
        """Replace the configuration of the server's models: a `ModelServerConfig`, or its text."""
        await self._run(calls.reload_config(config), timeout)

    async def wait_ready(self, models: Iterable[str], timeout: float) -> None:
        """Wait until every model has a version that answers."""
        attempts = Attempts(self.address, timeout)
        for model in models:
            while hindrance := await self._hindrance(model, attempts.left(POLL_SECONDS)):
                await asyncio.sleep(attempts.poll(model, hindrance))

    async def _hindrance(self, model: str, timeout: float) -> str:
        """Why a model does not answer yet; empty if it does."""
        try:
            return calls.hindrance(await self.status(model, timeout=timeout))
        except InputError as error:  # NOT_FOUND: the server has not found the model yet
            return error.headline

    async def _run(self, call: calls.Call[calls.T], timeout: float) -> calls.T:
        """Run a call within its timeout, and repeat it on UNAVAILABLE only."""
        attempts = Attempts(self.address, timeout)
        method = self._channel.unary_unary(call.method)
        while True:
            try:
                return call.parse(await method(call.request, timeout=attempts.left()))
            except grpc.RpcError as error:
                pause = attempts.pause_after(error)
            await asyncio.sleep(pause)
