"""Calls to models that requests share: a busy gateway asks for several requests at once."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segue.errors import InputError

MOST = 16  # questions of a call, which bounds its time
ENOUGH = 4  # questions for which no call waits: more of them save little, and the gateway would idle meanwhile
GATHER_SECONDS = 0.02  # the longest wait for others

Arrays = Mapping[str, np.ndarray]
Target = tuple[str, int, str]  # model, version, signature
Send = Callable[[Target, Arrays], Awaitable[Arrays]]


class Question(NamedTuple):
    """Rows that wait for a call, and the future of their outputs."""

    inputs: Arrays
    answer: "asyncio.Future[Arrays]"


class SharedCalls:
    """Asks models for the requests of one event loop, by one call at a time for each signature of a version.

    Much of a call's cost does not depend on its rows: four pages in one call take the model server half the time of
    four calls. So a question waits until `ENOUGH` or half of the requests under way wait for the same call, at most
    `GATHER_SECONDS`. One or two requests wait for nobody.

    Args:
        send: runs a signature on rows.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._requests = 0  # under way
        self._waiting: defaultdict[Target, list[Question]] = defaultdict(list)
        self._calling: dict[Target, asyncio.Task[None]] = {}
        self._gathering: dict[Target, asyncio.Event] = {}

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Count a request as under way while the body runs."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            self._end_gatherings()

    async def ask(self, target: Target, inputs: Arrays) -> Arrays:
        """The outputs for some rows; errors as `send`.

        The call may have wider rows than these, so an output of one value for each element of a list may be longer.

        Args:
            target: what runs.
            inputs: arrays `[rows, ...]`.
        """
        question = Question(inputs, asyncio.get_running_loop().create_future())
        self._waiting[target].append(question)
        if target not in self._calling:
            self._calling[target] = asyncio.create_task(self._call(target))
        self._end_gatherings()
        return await question.answer

    async def _call(self, target: Target) -> None:
        """Ask what waits for a target, until nothing does."""
        try:
            while self._waiting[target]:
                await self._gather(target)
                waiting = [one for one in self._waiting.pop(target) if not one.answer.done()]
                self._waiting[target] = waiting[MOST:]
                if waiting:
                    await self._answer(target, waiting[:MOST])
        finally:
            del self._calling[target], self._waiting[target]

    async def _gather(self, target: Target) -> None:
        """Wait until enough questions wait for a call."""
        if self._enough(target):
            return
        enough = self._gathering[target] = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await enough.wait()
        del self._gathering[target]

    def _enough(self, target: Target) -> bool:
        return len(self._waiting[target]) >= min(ENOUGH, self._requests / 2)

    def _end_gatherings(self) -> None:
        for target, enough in self._gathering.items():
            if self._enough(target):
                enough.set()

    async def _answer(self, target: Target, questions: Sequence[Question]) -> None:
        """Answer some questions by one call. If the server refuses it, each is asked alone: one of them is wrong."""
        try:
            outputs = await self._send(target, joined([one.inputs for one in questions]))
        except Exception as error:  # whatever it is, those who wait get it
            if len(questions) > 1 and isinstance(error, InputError):
                for one in questions:
                    await self._answer(target, [one])
                return
            for one in questions:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        end = 0
        for one in questions:
            start, end = end, end + len(next(iter(one.inputs.values())))
            if not one.answer.done():  # its stage may have given up
                one.answer.set_result({name: values[start:end] for name, values in outputs.items()})


def joined(inputs: Sequence[Arrays]) -> Arrays:
    """The rows of several questions below each other, by input.

    Shorter lists end in '' or 0, and lists of scores in minus infinity, which the ranking model takes for no score.
    """
    if len(inputs) == 1:
        return inputs[0]
    return {name: rows([one[name] for one in inputs]) for name in inputs[0]}


def rows(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays `[rows, ...]` below each other; those `[rows, n]` are made as wide as the widest."""
    widths = [part.shape[1:] for part in parts]
    if widths.count(widths[0]) == len(widths):
        return np.concatenate(parts)
    empty = {"O": "", "f": -np.inf}.get(parts[0].dtype.kind, 0)
    joint = np.full((sum(map(len, parts)), max(widths)[0]), empty, parts[0].dtype)
    end = 0
    for part in parts:
        start, end = end, end + len(part)
        joint[start:end, : part.shape[1]] = part
    return joint
