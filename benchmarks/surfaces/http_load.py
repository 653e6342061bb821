"""Load over HTTP from this process: requests at a rate, or as many as some connections can ask for."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from segue.errors import SegueError

# How the answer of a gateway begins to say that no fallback stands in for any stage.
WHOLE = b'"level":0,"degraded":[]'


@dataclass(frozen=True)
class Measured:
    """What a load found.

    Attributes:
        seconds: of each request, from the moment at which it was due to the last byte of its answer, `[requests]`.
        duration: seconds from the first request to the last answer.
        failures: answers with another status than 200 and 503.
        not_whole: answers in which a fallback stood in for a stage, and those refused with 503 for want of room.
        client_seconds: CPU time of this process.
    """

    seconds: np.ndarray
    duration: float
    failures: int
    not_whole: int
    client_seconds: float

    def figures(self) -> dict[str, float]:
        """Whole answers per second, percentiles of all requests in ms, and the numbers of the other answers."""
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1e3
        return {
            "rps": (len(self.seconds) - self.failures - self.not_whole) / self.duration,
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "failures": self.failures,
            "not_whole": self.not_whole,
        }


class Answer(NamedTuple):
    """The status of an answer, and whether it is whole."""

    status: int
    whole: bool


class Connection(asyncio.Protocol):
    """One connection that is kept open, with one request at a time.

    It reads no more of an answer than the load needs, because the client shares the cores with what it measures.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._size = 0  # of the whole answer; 0 until its head has arrived
        self._answer: asyncio.Future[Answer] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Collect an answer, and tell the sender when it is whole."""
        self._data += data
        if not self._size and (end := self._data.find(b"\r\n\r\n")) >= 0:
            _, _, length = self._data[:end].lower().partition(b"content-length:")
            self._size = end + 4 + int(length.partition(b"\r\n")[0])
        if self._size and len(self._data) >= self._size and self._answer:
            answer = Answer(int(self._data.split(b" ", 2)[1]), WHOLE in self._data)
            self._data.clear()
            self._size = 0
            self._answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the sender, unless its answer has come."""
        self.transport = None
        if self._answer and not self._answer.done():
            self._answer.set_exception(
                SegueError("A gateway closed a connection instead of answering.", "See its log.")
            )

    def send(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send a request, and return the future of its answer."""
        assert self.transport
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer


class Connections:
    """Connections to one server; a request takes a free one, or opens another."""

    def __init__(self, host: str, port: int) -> None:
        self._at = host, port
        self._free: deque[Connection] = deque()

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a body, and return the answer.

        Raises:
            SegueError: the server closed the connection instead.
        """
        connection = await self._connection()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        answer = await connection.send(head.encode() + body)
        self._free.append(connection)
        return answer

    async def _connection(self) -> Connection:
        """A free connection that the server has not closed for being idle, or another one."""
        while self._free:
            connection = self._free.pop()
            if connection.transport:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *self._at)
        return connection

    def close(self) -> None:
        """Close the connections."""
        for connection in self._free:
            if connection.transport:
                connection.transport.close()


Request = Callable[[int], tuple[str, bytes]]  # the number of a request -> its path and body


async def at_rate(host: str, port: int, request: Request, rate: float, seconds: float) -> Measured:
    """Send requests at a fixed rate, whether the earlier ones are answered or not."""
    connections, clock = Connections(host, port), time.perf_counter
    began, cpu = clock(), time.process_time()
    took: list[float] = []
    answers: list[Answer] = []

    async def one(number: int) -> None:
        due = began + number / rate
        await asyncio.sleep(max(due - clock(), 0))
        answers.append(await connections.post(*request(number)))
        took.append(clock() - due)

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    connections.close()
    return measured(took, answers, clock() - began, time.process_time() - cpu)


async def as_fast_as_it_can(host: str, port: int, request: Request, in_flight: int, seconds: float) -> Measured:
    """Keep some requests in flight, each connection sending its next one when it is answered."""
    connections, clock = Connections(host, port), time.perf_counter
    began, cpu, number = clock(), time.process_time(), 0
    took: list[float] = []
    answers: list[Answer] = []

    async def sender() -> None:
        nonlocal number
        while (start := clock()) < began + seconds:
            number += 1
            answers.append(await connections.post(*request(number)))
            took.append(clock() - start)

    await asyncio.gather(*(sender() for _ in range(in_flight)))
    connections.close()
    return measured(took, answers, clock() - began, time.process_time() - cpu)


def measured(took: list[float], answers: list[Answer], duration: float, client_seconds: float) -> Measured:
    """The answers of a load, counted."""
    failures = sum(answer.status not in (200, 503) for answer in answers)
    not_whole = sum(not answer.whole for answer in answers) - failures
    return Measured(np.array(took), duration, failures, not_whole, client_seconds)


def together(loads: Sequence[Measured]) -> Measured:
    """Several loads as one."""
    return Measured(
        np.concatenate([load.seconds for load in loads]),
        sum(load.duration for load in loads),
        sum(load.failures for load in loads),
        sum(load.not_whole for load in loads),
        sum(load.client_seconds for load in loads),
    )


def stage_seconds(text: str) -> dict[str, dict[str, tuple[float, int]]]:
    """Surface -> stage -> the seconds and the number of its runs, from the gateway's metrics."""
    found: dict[str, dict[str, list[float]]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("{")
        if name in ("segue_gateway_stage_seconds_sum", "segue_gateway_stage_seconds_count"):
            labels, _, value = rest.rpartition("} ")
            surface, stage = (part.split('"')[1] for part in labels.split(","))
            pair = found.setdefault(surface, {}).setdefault(stage, [0.0, 0])
            pair[name.endswith("count")] = float(value)
    return {
        surface: {stage: (total, int(count)) for stage, (total, count) in stages.items()}
        for surface, stages in found.items()
    }


def mean_ms(before: dict, after: dict) -> dict[str, float]:
    """The mean time of each stage between two readings of one surface's stages, in ms."""
    means = {}
    for stage, (total, count) in after.items():
        earlier_total, earlier_count = before.get(stage, (0.0, 0))
        if count > earlier_count:
            means[stage] = (total - earlier_total) / (count - earlier_count) * 1e3
    return means


def check_no_failures(name: str, found: Measured) -> None:
    """Check that every request was answered, or refused for want of room.

    Raises:
        SegueError: some were not, so the figures mean nothing.
    """
    if found.failures:
        raise SegueError(f"{found.failures} requests to the {name} gateway failed.", "See its log.")
