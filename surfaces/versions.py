"""The model versions of a request: one set from its first call to its last."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from segue.errors import InputError, SegueError, UnavailableError
from serving.client.async_client import AsyncClient
from serving.store.model_store import STABLE
from surfaces.engine.shared_calls import Arrays, SharedCalls, Target
from surfaces.model_inputs import Signature

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Signatures = Mapping[str, Signature]  # signature -> its inputs
Choice = str | int  # a label, or the number of a version

RETRIEVAL, RANKING, SEQUENCE = MODELS = ("retrieval", "ranking", "sequence")
REFRESH_SECONDS = 1.0
CALL_SECONDS = 10.0  # the longest call of a command that waits for its models


@dataclass(frozen=True)
class VersionSet:
    """The versions that answer a request, and what their signatures take.

    Attributes:
        versions: model -> version.
        signatures: model -> signature -> its inputs.
        served: what arms of experiments may choose instead: the version and its signatures by model and choice.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    signatures: Mapping[str, Signatures] = field(default_factory=dict)
    served: Mapping[tuple[str, Choice], tuple[int, Signatures]] = field(default_factory=dict)

    def chosen(self, choices: Mapping[str, Choice]) -> "VersionSet":
        """This set with other versions of some models, by their labels or numbers.

        Raises:
            UnavailableError: a version is not served. No set is made of the others: models are evaluated together.
        """
        for model, choice in choices.items():
            if (model, choice) not in self.served:
                raise UnavailableError(
                    f"No version {choice!r} of the model {model!r} answers.", "List them with `segue models list`."
                )
        others = {model: self.served[model, choice] for model, choice in choices.items()}
        return VersionSet(
            {**self.versions, **{model: version for model, (version, _) in others.items()}},
            {**self.signatures, **{model: signatures for model, (_, signatures) in others.items()}},
            self.served,
        )

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
        call_seconds: the longest call. Other requests wait for a call that hangs, so a gateway's ends soon after the
            deadline of its stage.
    """

    def __init__(self, client: AsyncClient, call_seconds: float = CALL_SECONDS) -> None:
        self._client, self._call_seconds = client, call_seconds
        self.calls = SharedCalls(self._predict)
        self.current = VersionSet()
        self.choices: frozenset[tuple[str, Choice]] = frozenset()  # of arms of running experiments
        self.down: SegueError | None = None  # why the last reading of the versions failed
        self._begun = self._ended = 0  # readings that have begun, and the number of the last of them that has ended

    async def refresh(self, timeout: float = CALL_SECONDS) -> VersionSet:
        """Read the versions with the label `stable`, and return them; they become the current set, beside the choices.

        A push moves the labels of all models, and the answers of one reading may lie on both sides of it. So versions
        that differ from the current ones count once two readings agree. Of several at the same time, the one that began
        last counts: an earlier one may lack the choices of a roll-out that the gateway follows by now.

        Raises:
            InputError, UnavailableError, SegueError: the server does not describe the models; see `AsyncClient`.
        """
        self._begun += 1
        number, before = self._begun, self.current
        try:
            known = {choice: version for choice, (version, _) in before.served.items()}
            read = await self._read(timeout)
            while read != known and read != (again := await self._read(timeout)):
                read = again
            found = before if read == known else await self._described(read, timeout)
        except SegueError as error:
            if number > self._ended:
                self.down, self._ended = error, number
            raise
        if number > self._ended:
            self.current, self.down, self._ended = found, None, number
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

    async def predict(self, versions: VersionSet, model: str, inputs: Arrays, signature: str = "") -> Arrays:
        """Run a signature of the pinned version of a model, in a call that other requests may share (`SharedCalls`).

        Raises:
            UnavailableError: the server does not answer; at once if it did not answer the last reading of versions.
            InputError: the server refuses the call, e.g. because the version is gone.
        """
        if isinstance(self.down, UnavailableError):
            raise self.down
        return await self.calls.ask((model, versions.versions[model], signature), inputs)

    async def _predict(self, target: Target, inputs: Arrays) -> Arrays:
        model, version, signature = target
        return await self._client.predict(
            model, inputs, signature=signature, version=version, timeout=self._call_seconds
        )

    async def _read(self, timeout: float) -> dict[tuple[str, Choice], int]:
        """The version of each model with the label `stable`, and of each choice that answers."""
        wanted = sorted({*((model, STABLE) for model in MODELS), *self.choices}, key=str)
        answers = await asyncio.gather(*(unless_refused(one, self._version(*one, timeout)) for one in wanted))
        return {one: version for one, version in zip(wanted, answers, strict=True) if version is not None}

    async def _version(self, model: str, choice: Choice, timeout: float) -> int | None:
        """The version of a choice; None if it is not loaded."""
        name = {"label": choice} if isinstance(choice, str) else {"version": choice}
        status = await self._client.status(model, **name, timeout=timeout)  # type: ignore[arg-type]
        return next((version for version, each in status.items() if each["state"] == "AVAILABLE"), None)

    async def _described(self, read: Mapping[tuple[str, Choice], int], timeout: float) -> VersionSet:
        """The versions of a reading with their signatures."""
        answers = await asyncio.gather(
            *(
                unless_refused(one, self._client.metadata(one[0], version=version, timeout=timeout))
                for one, version in read.items()
            )
        )
        served = {
            one: (version, {name: signature["inputs"] for name, signature in answer["signatures"].items()})
            for (one, version), answer in zip(read.items(), answers, strict=True)
            if answer is not None
        }
        stable = {model: version for (model, choice), version in served.items() if choice == STABLE}
        return VersionSet(
            {model: version for model, (version, _) in stable.items()},
            {model: signatures for model, (_, signatures) in stable.items()},
            served,
        )


async def unless_refused(one: tuple[str, Choice], call: Awaitable[Result]) -> Result | None:
    """The answer about a choice; None for what a server need not have: the sequence model, and what arms choose.

    Raises:
        InputError: the server has no `stable` version of another model.
    """
    try:
        return await call
    except InputError:
        if one[0] == SEQUENCE or one[1] != STABLE:
            return None
        raise
