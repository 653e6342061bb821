"""Load on a model server: a process without TensorFlow that sends prepared bytes over one gRPC channel."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import numpy as np
import uvloop

from benchmarks.serving.process import cpu_seconds
from benchmarks.serving.stored_models import OUTPUTS, REQUESTS, VARIANT, request
from segue.files import read_json, write_json
from serving.client.connection import OPTIONS
from serving.protocol import protos, tensors

METHOD = "/tensorflow.serving.PredictionService/Predict"
TIMEOUT_SECONDS = 30.0
BEHIND_SECONDS = 1.0  # a sender catches up with at most this delay, so that a long halt does not end in a flood
Answer = protos.message("tensorflow.serving.PredictResponse", "tensorflow_serving/apis/predict.proto")


@dataclass(frozen=True)
class Plan:
    """The requests to send.

    Attributes:
        address: `host:port` of the server.
        pid: the server's process, whose CPU time is measured.
        models: names of the models to call, in turn.
        labels: labels to call each model by, in turn; None for no label.
        in_flight: most requests in flight at once.
        seconds: duration of the measured load.
        warm_up: seconds of load before the measurement.
        rate: most requests per second; 0 for no limit.
        read: whether answers are decoded; without it the client takes less of the machine that it measures.
    """

    address: str
    pid: int
    models: Sequence[str]
    in_flight: int
    seconds: float
    warm_up: float = 0.5
    labels: Sequence[str | None] = (None,)
    rate: float = 0.0
    read: bool = True

    def requests(self) -> list[tuple[str, str | None, bytes]]:
        """The requests to send in rotation: model, label, bytes."""
        return [
            (model, label, request(model, index, label))
            for index in range(REQUESTS)
            for label in self.labels
            for model in self.models
        ]


@dataclass(frozen=True)
class Result:
    """The answers and failures of a load.

    Attributes:
        seconds: time from the first request to the last answer.
        cpu_seconds: the server's CPU time during the load.
        failures: number of failures by their text.
        rows: one row per answer, `[answers, 5]`: the time of sending (`time.monotonic`), seconds until the answer,
            the request's place in `Plan.requests`, the version that answered, and the variant that its scores show
            (version and variant are -1 if answers are not read).
    """

    seconds: float
    cpu_seconds: float
    failures: dict[str, int]
    rows: np.ndarray

    @property
    def rps(self) -> float:
        """Answers per second."""
        return len(self.rows) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """A percentile of the latency in ms."""
        return float(np.percentile(self.rows[:, 1], percent)) * 1e3


def start(plan: Plan, out: Path) -> subprocess.Popen:
    """Start the process that sends; after its end, `read` gives its result from the folder `out`."""
    out.mkdir()
    write_json(out / "plan.json", asdict(plan))
    return subprocess.Popen([sys.executable, "-m", "benchmarks.serving.load", str(out)], stdin=subprocess.DEVNULL)


def read(out: Path) -> Result:
    """Read the result that a load process wrote."""
    return Result(**read_json(out / "result.json"), rows=np.load(out / "rows.npy"))


def run(plan: Plan, out: Path) -> Result:
    """Send in a process of its own, wait for its end and return the result."""
    process = start(plan, out)
    if process.wait(plan.warm_up + plan.seconds + 2 * TIMEOUT_SECONDS):
        raise subprocess.CalledProcessError(process.returncode, "benchmarks.serving.load")
    return read(out)


class Sender:
    """Sends a plan's requests, `Plan.in_flight` at a time, and collects the answers."""

    def __init__(self, plan: Plan, channel: grpc.aio.Channel) -> None:
        self.plan = plan
        self.requests = plan.requests()
        self.rows: list[tuple[float, float, int, int, int]] = []
        self.failures: Counter[str] = Counter()
        self._method = channel.unary_unary(METHOD)
        self._sent = 0
        self._slot = 0.0

    async def send(self, seconds: float) -> None:
        """Send for some seconds; return when all requests have been answered."""
        self.rows, self.failures = [], Counter()
        self._slot = time.monotonic()
        until = self._slot + seconds
        await asyncio.gather(*(self._loop(until) for _ in range(self.plan.in_flight)))

    async def _loop(self, until: float) -> None:
        while True:
            if self.plan.rate:
                self._slot = max(self._slot + 1 / self.plan.rate, time.monotonic() - BEHIND_SECONDS)
                await asyncio.sleep(self._slot - time.monotonic())
            began = time.monotonic()
            if began >= until:
                return
            place = self._sent % len(self.requests)
            self._sent += 1
            model, _, data = self.requests[place]
            try:
                answer = await self._method(data, timeout=TIMEOUT_SECONDS)
            except grpc.aio.AioRpcError as error:
                self.failures[f"{error.code().name}: {error.details()}"] += 1
                continue
            took = time.monotonic() - began
            self.rows.append(
                (began, took, place, *(version_and_variant(answer, model) if self.plan.read else (-1, -1)))
            )


def version_and_variant(answer: bytes, model: str) -> tuple[int, int]:
    """The version that an answer names, and the variant that its scores show."""
    message = Answer.FromString(answer)
    score = float(tensors.decode(message.outputs[OUTPUTS[model]]).flat[0])
    return message.model_spec.version.value, round(score / VARIANT)


async def main(out: Path) -> None:
    """Send the plan in the folder `out` and write the result there; the process of `start` runs this."""
    plan = Plan(**read_json(out / "plan.json"))
    async with grpc.aio.insecure_channel(plan.address, OPTIONS) as channel:
        sender = Sender(plan, channel)
        await sender.send(plan.warm_up)
        cpu, began = cpu_seconds(plan.pid), time.monotonic()
        await sender.send(plan.seconds)
        seconds, used = time.monotonic() - began, cpu_seconds(plan.pid) - cpu
    np.save(out / "rows.npy", np.array(sender.rows, float).reshape(-1, 5))
    write_json(out / "result.json", {"seconds": seconds, "cpu_seconds": used, "failures": sender.failures})


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
