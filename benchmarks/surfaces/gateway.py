"""Load on `segue gateway` with everything on one machine, the client included, beside a naive gateway."""

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from operator import truediv
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pyarrow.compute as pc
import pyarrow.dataset as ds
import uvloop

from benchmarks.results import Say, machine, target
from benchmarks.serving.process import cpu_seconds, ending, free_port, start, start_server, wait_ready
from benchmarks.surfaces.event_to_features import event_to_features
from benchmarks.surfaces.http_load import (
    Measured,
    Request,
    as_fast_as_it_can,
    at_rate,
    check_no_failures,
    mean_ms,
    stage_seconds,
    together,
)
from events.schema import PLAY
from segue.errors import SegueError
from segue.settings import Home
from surfaces.versions import MODELS

RATE = 30.0  # requests per second
IN_FLIGHT = 24  # of the measure of throughput; the gateway refuses more than 32
WARM_SECONDS = 3.0
EVENTS = 100  # whose way to the online features is timed
TURNS = 5  # of each gateway in the measure of throughput
START_SECONDS = 120.0
HOST = "127.0.0.1"
# Of the model server, as docs/surfaces.md gives them for a machine with few cores.
SERVER_FLAGS = (
    "--enable_serialization_as_tensor_content=true",
    "--tensorflow_intra_op_parallelism=1",
    "--tensorflow_inter_op_parallelism=1",
)


def run(home: Home, seconds: float, say: Say) -> dict[str, Any]:
    """Measure Home and the next items at 30 requests per second, and the throughput of both gateways.

    Args:
        home: a home with an imported log, online features and pushed models; its journal is written to.
        seconds: of each measure.
        say: prints a line of progress.

    Returns:
        `home` and `next` (percentiles, `stages_ms`, `cpu_ms_per_page` of gateway, server and client, and
        `cpu_elsewhere`, the share of the machine that other processes took), `event_to_features` (percentiles),
        `throughput` and `naive_throughput` (whole answers per second with 24 in flight, by turn and in all, and CPU
        time), `targets` (times the naive throughput is the median of the turns), `machine`.

    Raises:
        SegueError: a process does not start, or a request fails.
    """
    users = listeners(home)
    numbers = itertools.count()

    def home_page(number: int) -> tuple[str, bytes]:
        return "/v1/home", json.dumps({"user_id": users[number % len(users)]}).encode()

    def next_items(number: int) -> tuple[str, bytes]:  # a session of its own: nothing is promised yet
        path = f"/v1/sessions/bench-{next(numbers)}-{time.time_ns()}/next"
        return path, json.dumps({"user_id": users[number % len(users)]}).encode()

    with TemporaryDirectory(prefix="segue-bench-") as folder, ExitStack() as stack:
        log = Path(folder) / "log"
        server = f"{HOST}:{free_port()}"
        say("starting the model server")
        process = stack.enter_context(
            ending(start_server(int(server.rpartition(":")[2]), SERVER_FLAGS, home.root, log))
        )
        wait_ready(process, server, MODELS, log)
        result: dict[str, Any] = {"rate_rps": RATE, "seconds": seconds}
        gateway = ["-m", "segue", "gateway", "--server", server, "--port"]
        port, pid = stack.enter_context(started("the gateway", gateway, home, log, say))
        pids = {"gateway": pid, "server": process.pid}
        for name, request in (("home", home_page), ("next", next_items)):
            say(f"{name} at {RATE:g} requests per second")
            uvloop.run(at_rate(HOST, port, request, RATE, WARM_SECONDS))
            before, cpu = stages_of(port), cpu_of(pids)
            found = uvloop.run(at_rate(HOST, port, request, RATE, seconds))
            result[name] = figures("Segue", found, used(found, cpu, pids))
            kind = "home" if name == "home" else "now_playing"
            result[name]["stages_ms"] = mean_ms(before.get(kind, {}), stages_of(port)[kind])
        say(f"{EVENTS} events")
        result["event_to_features"] = event_to_features(home, f"http://{HOST}:{port}", users[:EVENTS])
        naive = ["-m", "benchmarks.surfaces.naive_gateway", server]
        gateways = {
            "throughput": (port, pid),
            "naive_throughput": stack.enter_context(started("the naive gateway", naive, home, log, say)),
        }
        say("as many Home pages as they can, in turns")
        result |= in_turns(gateways, process.pid, home_page, seconds)
    result["targets"] = {
        "home p99 ms": target(result["home"]["p99_ms"], at_most=80.0),
        "next p99 ms": target(result["next"]["p99_ms"], at_most=50.0),
        "event to features p99 ms": target(result["event_to_features"]["p99_ms"], at_most=1000.0),
        "times the naive throughput": target(
            median(map(truediv, result["throughput"]["turns"], result["naive_throughput"]["turns"])), at_least=3.0
        ),
        "answers that are not whole": target(sum(result[name]["not_whole"] for name in ("home", "next")), at_most=0),
    }
    result["machine"] = machine("fastapi", "uvicorn", "grpcio", "feast")
    return result


def listeners(home: Home) -> list[str]:
    """Listeners with plays, sorted."""
    events = ds.dataset(home.data / "events", format="parquet")
    played = events.to_table(columns=["user_id"], filter=pc.field("action") == PLAY)
    return sorted(pc.unique(played["user_id"]).to_pylist())


def stages_of(port: int) -> dict[str, dict[str, tuple[float, int]]]:
    """The stages of a gateway so far."""
    return stage_seconds(httpx.get(f"http://{HOST}:{port}/metrics", trust_env=False).text)


def cpu_of(pids: dict[str, int]) -> dict[str, float]:
    """Process -> its CPU time so far, in seconds; `machine` is the busy time of all cores."""
    times = psutil.cpu_times()
    idle = times.idle + times.iowait + times.guest + times.guest_nice  # the time of guests is in `user` too
    return {name: cpu_seconds(pid) for name, pid in pids.items()} | {"machine": sum(times) - idle}


def in_turns(gateways: dict[str, tuple[int, int]], server: int, request: Request, seconds: float) -> dict[str, Any]:
    """The throughput of gateways that take turns: a machine whose speed changes from minute to minute is fair then.

    Args:
        gateways: name -> port and process id.
        server: the process id of their model server.
        request: the path and the body of a request by its number.
        seconds: of all turns of a gateway together.

    Returns:
        By name the figures of all turns together, with the `rps` of each in `turns`.
    """
    found: dict[str, list[Measured]] = {name: [] for name in gateways}
    cpu: dict[str, dict[str, float]] = {name: defaultdict(float) for name in gateways}
    for port, _ in gateways.values():
        uvloop.run(as_fast_as_it_can(HOST, port, request, IN_FLIGHT, WARM_SECONDS))
    for turn in range(TURNS):
        for name in list(gateways)[:: -1 if turn % 2 else 1]:
            port, pid = gateways[name]
            pids = {"gateway": pid, "server": server}
            before = cpu_of(pids)
            found[name].append(uvloop.run(as_fast_as_it_can(HOST, port, request, IN_FLIGHT, seconds / TURNS)))
            for part, spent in used(found[name][-1], before, pids).items():
                cpu[name][part] += spent
    return {
        name: {**figures(name, together(turns), cpu[name]), "turns": [each.figures()["rps"] for each in turns]}
        for name, turns in found.items()
    }


def used(found: Measured, before: dict[str, float], pids: dict[str, int]) -> dict[str, float]:
    """The CPU seconds of each process and of the client in a load; of the machine, the busy time of all cores.

    Args:
        found: the load.
        before: what `cpu_of` told before it.
        pids: the process ids of gateway and server.
    """
    return {part: after - before[part] for part, after in cpu_of(pids).items()} | {"client": found.client_seconds}


def figures(name: str, found: Measured, cpu: Mapping[str, float]) -> dict[str, Any]:
    """The figures of a load, with the CPU time of each process for one page, and what others took of the machine.

    Args:
        name: of the gateway, for the error.
        found: the load.
        cpu: as `used` returns it.

    Raises:
        SegueError: a request failed.
    """
    check_no_failures(name, found)
    parts = {part: seconds for part, seconds in cpu.items() if part != "machine"}
    elsewhere = cpu["machine"] - sum(parts.values())
    return {
        **found.figures(),
        "cpu_ms_per_page": {part: seconds / len(found.seconds) * 1e3 for part, seconds in parts.items()},
        "cpu_elsewhere": max(elsewhere, 0.0) / found.duration / psutil.cpu_count(),
    }


@contextmanager
def started(name: str, command: list[str], home: Home, log: Path, say: Say) -> Iterator[tuple[int, int]]:
    """The port and the process id of a gateway that runs while the body runs.

    Raises:
        SegueError: it does not answer in time; the fix shows the end of its log.
    """
    say(f"starting {name}")
    port = free_port()
    environment = {"SEGUE_HOME": str(home.root), "TF_USE_LEGACY_KERAS": "1"}
    with ending(start([*command, str(port)], log, environment)) as process:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.get(f"http://{HOST}:{port}/healthz", trust_env=False)
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = log.read_text(errors="replace")[-2000:]
                    raise SegueError(f"{name} does not answer.", f"Its log ends with:\n{tail}") from None
                time.sleep(0.1)
        yield port, process.pid
