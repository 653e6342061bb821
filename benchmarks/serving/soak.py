"""Reloads under load: no request may fail, and memory may not grow by more than 10 %."""

import contextlib
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.results import Say, machine, target
from benchmarks.serving import load, stored_models
from benchmarks.serving.benchmark import BATCHING, MODELS, batching_flags
from benchmarks.serving.load import Plan, Result
from benchmarks.serving.process import ending, free_port, rss_mb, start_server, wait_ready
from segue.errors import SegueError
from serving.client.sync_client import Client
from serving.store import model_store

IN_FLIGHT = 32
PEAK_SECONDS = 5.0  # of measuring the peak
SHARE_OF_PEAK = 0.8
RELOAD_SECONDS = 60.0  # until the server must have followed the store
SETTLED_STATES = {"AVAILABLE", "END"}


@dataclass(frozen=True)
class Reload:
    """One change of the stable version.

    Attributes:
        began: time of the change in the store (`time.monotonic`).
        ended: time when the server answered with the version and had unloaded the previous one (`time.monotonic`).
        version: the new stable version.
    """

    began: float
    ended: float
    version: int


class Pusher:
    """Changes the stable version of a store, by a push and a rollback in turn.

    It starts with two pushes, so that there is always a version to roll back to.

    Attributes:
        variants: the models' variant in each version.
        reloads: all changes; the first entry stands for the start.
    """

    def __init__(self, base: Path, root: Path) -> None:
        self.base, self.root = base, root
        self.variants: dict[int, int] = {}
        self.reloads: list[Reload] = []
        self._stable = 0
        for _ in range(2):
            self._push()
        self.reloads.append(Reload(0.0, 0.0, self._stable))

    def reload(self, client: Client) -> None:
        """Move `stable` and wait until the server answers with the version and has unloaded the previous one.

        Raises:
            SegueError: the server does not follow within `RELOAD_SECONDS`.
        """
        began = time.monotonic()
        if len(self.reloads) % 2:
            self._push()
        else:
            _, moved = model_store.rollback(self.root)
            self._stable = moved[MODELS[0]] or 0
        while not self._settled(client):
            if time.monotonic() > began + RELOAD_SECONDS:
                raise SegueError(
                    f"The server must follow the store within {RELOAD_SECONDS:g} s. Version {self._stable} is not "
                    "served, or the previous one is still loaded.",
                    "Run the benchmark on an idle machine; if it fails again, the server's reload is broken.",
                )
            time.sleep(0.1)
        self.reloads.append(Reload(began, time.monotonic(), self._stable))

    def _push(self) -> None:
        """Push the variant that is not stable now, so that each reload changes the answers."""
        variant = 1 - self.variants.get(self._stable, 1)
        self._stable = model_store.push(self.root, {model: self.base / f"{model}-{variant}" for model in MODELS})
        self.variants[self._stable] = variant

    def _settled(self, client: Client) -> bool:
        return all(
            client.metadata(model, label=model_store.STABLE)["version"] == self._stable
            and all(entry["state"] in SETTLED_STATES for entry in client.status(model).values())
            for model in MODELS
        )


def run(minutes: float, say: Say, every: float = 20.0) -> dict[str, Any]:
    """Serve a model store under load while its stable version changes.

    Args:
        minutes: duration of the load.
        say: prints a line of progress.
        every: seconds from one reload to the next; the duration must leave time for two reloads.

    Returns:
        `requests`, `failures` (their number) and `failure_texts`, `reloads`, `peak_rps`, `rate_rps`; the server's
        memory in MiB as `rss_first_mb` (between the first two reloads), `rss_last_mb` (after the last reload) and
        `rss_max_mb`; `growth_percent`; `p50_ms` and `p99_ms`, each `during_reloads` and `between`; `targets`,
        `batching`, `machine`.

    Raises:
        SegueError: the server does not start, or does not follow the store.
    """
    seconds = minutes * 60
    with TemporaryDirectory(prefix="segue-soak-") as folder, contextlib.ExitStack() as stack:
        base = Path(folder)
        say("making the models")
        stored_models.make(base, variants=2)
        pusher = Pusher(base, base / "models")
        port, log = free_port(), base / "server.log"
        address = f"127.0.0.1:{port}"
        server = stack.enter_context(ending(start_server(port, batching_flags(base), base, log)))
        wait_ready(server, address, MODELS, log)
        labels = (model_store.STABLE, None)
        plan = Plan(address, server.pid, MODELS, IN_FLIGHT, PEAK_SECONDS, labels=labels)
        peak = load.run(plan, base / "peak").rps
        rate = peak * SHARE_OF_PEAK
        say(f"peak {peak:.0f} requests/s; {rate:.0f} requests/s from now on")
        plan = Plan(address, server.pid, MODELS, IN_FLIGHT, seconds, labels=labels, rate=rate)
        load_process = stack.enter_context(ending(load.start(plan, base / "soak")))
        client = stack.enter_context(Client(address))
        samples = watch(server.pid, pusher, client, seconds, every, say)
        if load_process.wait(2 * load.TIMEOUT_SECONDS):
            raise SegueError("The load process must end with exit code 0. It failed.", "Its output on stderr says why.")
        result = load.read(base / "soak")
    return {
        **report(result, pusher, samples),
        "peak_rps": peak,
        "rate_rps": rate,
        "batching": BATCHING,
        "machine": machine("tensorflow", "grpcio", "numpy"),
    }


def watch(
    pid: int, pusher: Pusher, client: Client, seconds: float, every: float, say: Say
) -> list[tuple[float, float]]:
    """Reload at regular times for some seconds, and sample the server's memory once a second.

    Returns:
        For each sample `time.monotonic` and the server's memory in MiB.
    """
    samples = []
    began = time.monotonic()
    due = began + every
    with ThreadPoolExecutor(1) as pool:
        reload = None
        while time.monotonic() < began + seconds:
            time.sleep(1.0)
            samples.append((time.monotonic(), rss_mb(pid)))
            if reload is not None and reload.done():
                reload.result()  # raises the error of a failed reload
                reload = None
                last = pusher.reloads[-1]
                say(f"version {last.version} after {last.ended - last.began:.1f} s, {samples[-1][1]:.0f} MiB")
            # No reload starts near the end, so that memory can be sampled after the last one.
            if reload is None and due <= time.monotonic() < began + seconds - every / 2:
                due += every
                reload = pool.submit(pusher.reload, client)
    return samples


def report(result: Result, pusher: Pusher, samples: list[tuple[float, float]]) -> dict[str, Any]:
    """The figures of a soak and its targets."""
    during = np.zeros(len(result.rows), bool)
    for reload in pusher.reloads:
        during |= (result.rows[:, 0] >= reload.began) & (result.rows[:, 0] < reload.ended)
    failures = Counter(result.failures) + wrong_answers(result.rows, pusher)
    first, second = pusher.reloads[1:3]
    rss_first = median(mb for at, mb in samples if first.ended <= at < second.began)
    rss_last = median(mb for at, mb in samples if at >= pusher.reloads[-1].ended)
    growth = (rss_last / rss_first - 1) * 100
    latency = {"during_reloads": result.rows[during, 1], "between": result.rows[~during, 1]}
    return {
        "requests": len(result.rows) + sum(result.failures.values()),
        "failures": failures.total(),
        "failure_texts": dict(failures),
        "reloads": len(pusher.reloads) - 1,
        "rss_first_mb": rss_first,
        "rss_last_mb": rss_last,
        "rss_max_mb": max(mb for _, mb in samples),
        "growth_percent": growth,
        **{
            f"p{percent}_ms": {when: float(np.percentile(values, percent)) * 1e3 for when, values in latency.items()}
            for percent in (50, 99)
        },
        "targets": {
            "failures": target(failures.total(), at_most=0),
            "growth_percent": target(growth, at_most=10.0),
        },
    }


def wrong_answers(rows: np.ndarray, pusher: Pusher) -> Counter[str]:
    """Count wrong answers: from a version that was not stable, or with scores of another version than the named one."""
    wrong: Counter[str] = Counter()
    reloads = pusher.reloads
    variants = np.vectorize(lambda version: pusher.variants.get(int(version), -1), otypes=[int])(rows[:, 3])
    wrong["the scores are not those of the version that the answer names"] += int((variants != rows[:, 4]).sum())
    for before, reload, after in zip([reloads[0], *reloads], reloads, [*reloads[1:], None], strict=False):
        for begin, end, allowed in (
            (reload.began, reload.ended, [before.version, reload.version]),
            (reload.ended, after.began if after else np.inf, [reload.version]),
        ):
            inside = (rows[:, 0] >= begin) & (rows[:, 0] < end)
            late = inside & ~np.isin(rows[:, 3], allowed)
            wrong["a version answered that was not stable"] += int(late.sum())
    return +wrong
