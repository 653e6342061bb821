"""Load over HTTP from this process: requests at a rate, or as many as some connections can ask for."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from segue.errors import SegueError


@dataclass(frozen=True)
class Measured:
    """What a load found.

    Attributes:
        seconds: of each request, from the moment at which it was due to the last byte of its answer, `[requests]`.
        duration: seconds from the first request to the last answer.
        failures: answers with another status than 200.
    """

    seconds: np.ndarray
    duration: float
    failures: int

    def figures(self) -> dict[str, float]:
        """Requests per second, percentiles in ms, and failures."""
        p50, p99 = np.percentile(self.seconds, [50, 99]) * 1e3
        return {
            "rps": len(self.seconds) / self.duration,
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "failures": self.failures,
        }


class Connections:
    """Connections to one server that are kept open; a request takes a free one, or opens another."""

    def __init__(self, host: str, port: int) -> None:
        self._at = host, port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, body: bytes) -> int:
        """Send a body, read the answer, and return its status.

        Raises:
            SegueError: the server closed the connection instead.
        """
        reader, writer = await self._connection()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        try:
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        except asyncio.IncompleteReadError as error:  # an EOFError, which click takes for Ctrl-D
            raise SegueError("A gateway closed a connection instead of answering.", "See its log.") from error
        await reader.readexactly(int(answer.partition(b"content-length:")[2].split(b"\r\n")[0]))
        self._free.append((reader, writer))
        return int(answer.split(b" ", 2)[1])

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A free connection that the server has not closed for being idle, or another one."""
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._at)

    def close(self) -> None:
        """Close the connections."""
        for _, writer in self._free:
            writer.close()


Request = Callable[[int], tuple[str, bytes]]  # the number of a request -> its path and body


async def at_rate(host: str, port: int, request: Request, rate: float, seconds: float) -> Measured:
    """Send requests at a fixed rate, whether the earlier ones are answered or not."""
    connections, clock = Connections(host, port), asyncio.get_running_loop().time
    began, failures = clock(), 0
    took: list[float] = []

    async def one(number: int) -> None:
        nonlocal failures
        due = began + number / rate
        await asyncio.sleep(max(due - clock(), 0))
        failures += await connections.post(*request(number)) != 200
        took.append(clock() - due)

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    connections.close()
    return Measured(np.array(took), clock() - began, failures)


async def as_fast_as_it_can(host: str, port: int, request: Request, in_flight: int, seconds: float) -> Measured:
    """Keep some requests in flight, each connection sending its next one when it is answered."""
    connections, end = Connections(host, port), time.perf_counter() + seconds
    began, failures, number = time.perf_counter(), 0, 0
    took: list[float] = []

    async def sender() -> None:
        nonlocal failures, number
        while (start := time.perf_counter()) < end:
            number += 1
            failures += await connections.post(*request(number)) != 200
            took.append(time.perf_counter() - start)

    await asyncio.gather(*(sender() for _ in range(in_flight)))
    connections.close()
    return Measured(np.array(took), time.perf_counter() - began, failures)


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


def check_no_failures(name: str, measured: Sequence[Measured]) -> None:
    """Check that every request was answered with 200.

    Raises:
        SegueError: some were not, so the figures mean nothing.
    """
    if failures := sum(one.failures for one in measured):
        raise SegueError(f"{failures} requests to the {name} gateway failed.", "See its log.")
