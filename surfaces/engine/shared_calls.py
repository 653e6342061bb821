"""Calls to models that requests share: questions that come while a call is under way go together in the next one."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segue.errors import InputError

MOST = 16  # questions of a call: it bounds how long the first one waits for the others

Arrays = Mapping[str, np.ndarray]
Target = tuple[str, int, str]  # model, version, signature
Send = Callable[[Target, Arrays], Awaitable[Arrays]]


class Question(NamedTuple):
    """Rows that wait for a call, and the future of their outputs."""

    inputs: Arrays
    answer: "asyncio.Future[Arrays]"


class SharedCalls:
    """Asks models for the requests of one event loop, by one call at a time for each signature of a version.

    Much of a call's cost does not depend on its rows: four pages in one call take TensorFlow 0.6 of the time of four
    calls. So an idle gateway asks at once, and a busy one asks for several requests together. No call waits for more
    questions than came during the one before it: a core could idle meanwhile.

    Args:
        send: runs a signature on rows.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: defaultdict[Target, list[Question]] = defaultdict(list)
        self._calling: dict[Target, asyncio.Task[None]] = {}

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
        return await question.answer

    async def _call(self, target: Target) -> None:
        """Ask what waits for a target, until nothing does."""
        try:
            while waiting := [one for one in self._waiting.pop(target) if not one.answer.done()]:
                self._waiting[target] = waiting[MOST:]
                await self._answer(target, waiting[:MOST])
        finally:
            del self._calling[target]

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
