"""Shared calls: a question waits for others of the requests under way, and those that wait go together."""

import asyncio
from contextlib import ExitStack

import numpy as np
import pytest

from segue.errors import InputError, UnavailableError
from surfaces.engine import shared_calls
from surfaces.engine.shared_calls import ENOUGH, MOST, SharedCalls, joined

TARGET = ("ranking", 1, "")


class Server:
    """Answers twice the number of each row, once it is open; it refuses a call with the number 13."""

    def __init__(self):
        self.calls: list[list[int]] = []
        self.open = asyncio.Event()

    async def send(self, target, inputs):
        numbers = inputs["x"].tolist()
        self.calls.append(numbers)
        await self.open.wait()
        if 13 in numbers:
            raise InputError("13 is refused", "")
        return {"y": 2 * inputs["x"]}


def asked(*questions: list[int], patience: float = 10.0):
    """The answers to questions that come one after the other while the first is under way, and the server's calls."""

    async def ask():
        server = Server()
        calls = SharedCalls(server.send)

        async def one(numbers):
            async with asyncio.timeout(patience):
                return (await calls.ask(TARGET, {"x": np.array(numbers)}))["y"].tolist()

        tasks = [asyncio.create_task(one(questions[0]))]
        await asyncio.sleep(0)  # the first question has asked
        await asyncio.sleep(0)  # and its call is under way
        tasks += [asyncio.create_task(one(numbers)) for numbers in questions[1:]]
        await asyncio.sleep(0)
        if patience < 1:
            await asyncio.wait(tasks)
        server.open.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)
        return answers, server.calls

    return asyncio.run(ask())


def under_way(requests: int, questions: int, ended: int = 0):
    """The rows of each call, for some questions of some requests under way, of which some end without a question."""

    async def ask():
        server = Server()
        server.open.set()
        calls = SharedCalls(server.send)
        with ExitStack() as others:
            for _ in range(requests - ended):
                others.enter_context(calls.request())
            with ExitStack() as ending:
                for _ in range(ended):
                    ending.enter_context(calls.request())
                asked = [asyncio.create_task(calls.ask(TARGET, {"x": np.array([n])})) for n in range(questions)]
                await asyncio.sleep(0.02)
                at_once = len(server.calls)
            await asyncio.sleep(0.02)
            after_the_end = len(server.calls)
            await asyncio.gather(*asked)
        return at_once, after_the_end, [len(rows) for rows in server.calls]

    return asyncio.run(ask())


@pytest.fixture
def patient(monkeypatch):
    """Questions wait for the others for so long that a busy machine does not end it."""
    monkeypatch.setattr(shared_calls, "GATHER_SECONDS", 60.0)


@pytest.mark.parametrize(("requests", "questions"), [(1, 1), (2, 1), (6, 3), (5, 3), (30, ENOUGH)])
def test_a_call_begins_once_half_of_the_requests_wait_for_it_or_enough(requests, questions, patient):
    assert under_way(requests, questions) == (1, 1, [questions])


def test_a_call_begins_at_last_without_the_others():
    assert under_way(8, 3)[2] == [3]


def test_a_request_that_ends_is_not_waited_for(patient):
    assert under_way(8, 3, ended=2) == (0, 1, [3])


def test_an_idle_gateway_asks_at_once_and_those_who_wait_go_together():
    answers, calls = asked([1], [2, 3], [4])
    assert answers == [[2], [4, 6], [8]]
    assert calls == [[1], [2, 3, 4]]


def test_a_call_takes_so_many_questions_and_the_next_one_the_others():
    answers, calls = asked([0], *([100 + number] for number in range(MOST + 2)))
    assert answers[1:] == [[2 * (100 + number)] for number in range(MOST + 2)]
    assert list(map(len, calls)) == [1, MOST, 2]


def test_a_refused_question_fails_alone():
    answers, calls = asked([1], [2], [13], [4])
    assert [answers[0], answers[1], answers[3]] == [[2], [4], [8]]
    assert isinstance(answers[2], InputError)
    assert calls == [[1], [2, 13, 4], [2], [13], [4]]


def test_who_gave_up_is_not_asked_for():
    answers, calls = asked([1], [2], patience=0.02)
    assert all(isinstance(answer, TimeoutError) for answer in answers)
    assert calls == [[1]]


def test_a_server_that_does_not_answer_fails_all_and_the_next_question_asks_anew():
    async def ask():
        down = True

        async def send(target, inputs):
            if down:
                raise UnavailableError("no answer", "")
            return inputs

        calls = SharedCalls(send)
        questions = [calls.ask(TARGET, {"x": np.array([number])}) for number in (1, 2)]
        failed = await asyncio.gather(*questions, return_exceptions=True)
        down = False
        return failed, await calls.ask(TARGET, {"x": np.array([3])})

    failed, answer = asyncio.run(ask())
    assert [type(error) for error in failed] == [UnavailableError] * 2
    assert answer["x"].tolist() == [3]


def test_versions_and_signatures_have_calls_of_their_own():
    async def ask():
        targets = []

        async def send(target, inputs):
            targets.append(target)
            return inputs

        calls = SharedCalls(send)
        others = [TARGET, ("ranking", 2, ""), ("ranking", 1, "score")]
        await asyncio.gather(*(calls.ask(target, {"x": np.zeros(1)}) for target in others))
        return targets, others

    targets, others = asyncio.run(ask())
    assert targets == others


@pytest.mark.parametrize(
    ("dtype", "filled"), [(object, ""), (np.float32, -np.inf), (np.int64, 0)], ids=["text", "scores", "times"]
)
def test_shorter_lists_are_filled(dtype, filled):
    one, two = np.array([["7", "8", "9"]], object).astype(dtype), np.array([["5"]], object).astype(dtype)
    both = joined([{"x": one, "k": np.array([3])}, {"x": two, "k": np.array([1])}])
    assert both["k"].tolist() == [3, 1]
    assert both["x"].dtype == dtype
    assert both["x"].tolist() == [one[0].tolist(), [two[0, 0], filled, filled]]
