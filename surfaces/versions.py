"""The model versions of a request: one set from its first call to its last."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segue.errors import InputError, SegueError, UnavailableError
from serving.client.async_client import AsyncClient
from serving.store.model_store import STABLE
from surfaces.model_inputs import Signature

log = logging.getLogger(__name__)

RETRIEVAL, RANKING, SEQUENCE = MODELS = ("retrieval", "ranking", "sequence")
REFRESH_SECONDS = 1.0
CALL_SECONDS = 10.0  # the longest call; the deadline of its stage comes first


@dataclass(frozen=True)
class VersionSet:
    """The versions with the label `stable` at one instant, and what their signatures take.

    Attributes:
        versions: model -> version.
        signatures: model -> signature -> its inputs.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    signatures: Mapping[str, Mapping[str, Signature]] = field(default_factory=dict)

    def inputs(self, model: str, signature: str = "serving_default") -> Signature:
        """The inputs of a signature.

        Raises:
            UnavailableError: the model is not served.
            InputError: the model has no such signature.
        """
        if model not in self.signatures:
            raise UnavailableError(f"No version of the model {model!r} answers.", "Check the model server.")
        if signature not in self.signatures[model]:
            raise InputError(
                f"The served {model} model has no signature {signature!r}: its export is older than that signature.",
                "Run `segue run training`.",
            )
        return self.signatures[model][signature]


class Models:
    """Calls the models of one server by versions that the caller pins.

    Args:
        client: of the model server.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.current = VersionSet()
        self.down: SegueError | None = None  # why the last reading of the versions failed

    async def refresh(self, timeout: float = CALL_SECONDS) -> VersionSet:
        """Read the versions with the label `stable`, and return them; they become the current set.

        A push moves the labels of all models, and the answers of one reading may lie on both sides of it. So versions
        that differ from the current ones count once two readings agree.

        Raises:
            InputError, UnavailableError, SegueError: the server does not describe the models; see `AsyncClient`.
        """
        try:
            read = await self._labelled(timeout)
            while read != self.current.versions and read != (again := await self._labelled(timeout)):
                read = again
            if read != self.current.versions:
                self.current = VersionSet(read, await self._signatures(read, timeout))
        except SegueError as error:
            self.down = error
            raise
        self.down = None
        return self.current

    async def follow(self) -> None:
        """Refresh the current set every second, for ever. While the server does not answer, the last set stays."""
        while True:
            before = self.down
            try:
                await self.refresh(REFRESH_SECONDS)
            except SegueError as error:
                if before is None:
                    log.warning("the model server does not answer: %s", error)
            await asyncio.sleep(REFRESH_SECONDS)

    async def predict(
        self, versions: VersionSet, model: str, inputs: Mapping[str, Any], signature: str = ""
    ) -> dict[str, np.ndarray]:
        """Run a signature of the pinned version of a model.

        Raises:
            UnavailableError: the server does not answer; at once if it did not answer the last reading of versions.
            InputError: the server refuses the call, e.g. because the version is gone.
        """
        if isinstance(self.down, UnavailableError):
            raise self.down
        return await self._client.predict(
            model, inputs, signature=signature, version=versions.versions[model], timeout=CALL_SECONDS
        )

    async def _labelled(self, timeout: float) -> dict[str, int]:
        """Model -> the version with the label `stable`."""
        answers = await asyncio.gather(*(self._version(model, timeout) for model in MODELS))
        return {model: version for model, version in zip(MODELS, answers, strict=True) if version is not None}

    async def _version(self, model: str, timeout: float) -> int | None:
        """The version of a model with the label `stable`; None for the sequence model, which a server need not have."""
        try:
            return next(iter(await self._client.status(model, label=STABLE, timeout=timeout)))
        except InputError:
            if model == SEQUENCE:
                return None
            raise

    async def _signatures(self, versions: Mapping[str, int], timeout: float) -> dict[str, dict[str, Signature]]:
        answers = await asyncio.gather(
            *(self._client.metadata(model, version=version, timeout=timeout) for model, version in versions.items())
        )
        return {
            model: {name: signature["inputs"] for name, signature in answer["signatures"].items()}
            for model, answer in zip(versions, answers, strict=True)
        }
