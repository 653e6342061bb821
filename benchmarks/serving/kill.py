"""SIGKILL during pushes and reloads: after a restart the newest complete version must answer, never an incomplete one.

A pusher process pushes version after version of two models, and `segue serve` follows the store. Each version has two
files beside the graph whose lines all hold the version's number. An answer is the smallest and the largest number of
all lines, so an incomplete version shows as an answer with two different numbers.
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.results import Say, target
from benchmarks.serving.process import ending, free_port, kill, start, start_server, wait_ready
from benchmarks.subprocesses import run_module
from segue import files
from segue.errors import InputError, SegueError, UnavailableError
from serving.client.sync_client import Client
from serving.store import model_store
from serving.store.versions import verify

MODELS = ("left", "right")  # pushed together, so their stable versions must always be the same
PARTS = ("a.txt", "b.txt")
LINES = 20_000
LONGEST_WAIT = 1.5  # seconds from a push to the kill
LONGEST_PAUSE = 0.3  # seconds between two pushes
BALLAST = 16 * 2**20  # bytes beside the graph, so that a push takes long enough for a kill to fall into it
SETTLE_SECONDS = 30.0  # until the server must answer with the stable versions
INPUTS = {"x": np.zeros(1, np.float32)}


def run(rounds: int, seed: int, say: Say) -> dict[str, Any]:
    """Kill the pusher and the server at random times, restart the server and check its answers and the store.

    Args:
        rounds: number of rounds; each kills the pusher, and three of four on average also the server.
        seed: seed of the times and of the processes to kill.
        say: prints a line of progress.

    Returns:
        `rounds`, `pusher_kills`, `kills_within_a_push`, `server_kills`, `pushes`, `slowest_restart_seconds` (from the
        restart to the first answers; 0 if the server was never killed), `failures` (their texts), `targets`.

    Raises:
        SegueError: the models cannot be made, or the server does not start before the first kill.
    """
    with TemporaryDirectory(prefix="segue-kill-") as folder, contextlib.ExitStack() as stack:
        trial = Trial(Path(folder), random.Random(seed), stack)
        for number in range(1, rounds + 1):
            victims = trial.round()
            say(f"{number}/{rounds} killed {' and '.join(victims)}; stable is {trial.stable()}")
        return {
            "rounds": rounds,
            "pusher_kills": trial.kills["pusher"],
            "kills_within_a_push": trial.kills_within_a_push,
            "server_kills": trial.kills["server"],
            "pushes": trial.pushes(),
            "slowest_restart_seconds": trial.slowest_restart,
            "failures": trial.failures,
            "targets": {"failures": target(len(trial.failures), at_most=0)},
        }


class Trial:
    """A store, its pusher and its server, and the counts of kills and failures so far."""

    def __init__(self, base: Path, chance: random.Random, stack: contextlib.ExitStack) -> None:
        self.base, self.root, self.log = base, base / "models", base / "server.log"
        self.chance, self.stack = chance, stack
        self.port = free_port()
        self.kills = {"pusher": 0, "server": 0}
        self.kills_within_a_push = 0
        self.failures: list[str] = []
        self.slowest_restart = 0.0
        self._last: dict[tuple[str, str | None], int] = {}
        self._client = stack.enter_context(Client(f"127.0.0.1:{self.port}"))
        make_template(base / "template")
        push(self.root, base)
        self.server = self._start_server()
        wait_ready(self.server, self._client.address, MODELS, self.log)

    def round(self) -> tuple[str, ...]:
        """Push, kill, restart and check once; the names of the killed processes."""
        pusher = self._start_pusher()
        pushed = self.pushes()
        self._watch(SETTLE_SECONDS, until=lambda: self.pushes() > pushed or pusher.poll() is not None)
        self._watch(self.chance.uniform(0, LONGEST_WAIT))
        victims = self.chance.choice([("pusher",), ("server",), ("pusher", "server"), ("server", "pusher")])
        for victim in victims:
            self._kill(victim, pusher if victim == "pusher" else self.server)
        if "server" in victims:
            self._restart()
        if "pusher" not in victims:
            # The pusher went on while the server restarted; it is killed now, so that the store stands still.
            self._watch(self.chance.uniform(0, LONGEST_WAIT))
            self._kill("pusher", pusher)
        self._check_store()
        if not self._follows():
            self._fail(f"the server answers {self._answers()}, stable is {self.stable()}")
        return victims

    def stable(self) -> dict[str, int]:
        """The stable version of each model, according to the store."""
        return {model: labels[model_store.STABLE] for model, labels in model_store.labels(self.root).items()}

    def pushes(self) -> int:
        """The number of completed pushes."""
        path = self.base / "pushes"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def _fail(self, text: str) -> None:
        kills = f"{self.kills['pusher']} kills of the pusher and {self.kills['server']} of the server"
        self.failures.append(f"after {kills}: {text}")

    def _start_server(self) -> subprocess.Popen:
        return self.stack.enter_context(ending(start_server(self.port, [], self.base, self.log)))

    def _start_pusher(self) -> subprocess.Popen:
        seed = str(self.chance.randrange(2**31))
        command = ["-m", "benchmarks.serving.kill", "pusher", str(self.base), seed, str(os.getpid())]
        return self.stack.enter_context(ending(start(command, self.base / "pusher.log")))

    def _kill(self, name: str, process: subprocess.Popen) -> None:
        if process.poll() is not None:
            log = self.log if name == "server" else self.base / "pusher.log"
            self._fail(f"the {name} ended by itself: {log.read_text(errors='replace')[-500:]}")
        kill(process)
        self.kills[name] += 1

    def _restart(self) -> None:
        began = time.monotonic()
        self.server = self._start_server()
        try:
            wait_ready(self.server, self._client.address, MODELS, self.log)
        except SegueError as error:
            self._fail(f"the server does not start: {error.fix}")
            return
        self._watch(SETTLE_SECONDS, until=lambda: bool(self._answers()))
        self.slowest_restart = max(self.slowest_restart, time.monotonic() - began)

    def _follows(self) -> bool:
        """Whether the server answers with the stable versions within `SETTLE_SECONDS`."""
        return self._watch(SETTLE_SECONDS, until=lambda: self._answers() == self.stable())

    def _watch(self, seconds: float, until: Any = lambda: False) -> bool:
        """Check the answers for some seconds or until a condition holds. Return whether the condition held."""
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() >= deadline:
                return False
            self._answers()
            time.sleep(0.01)
        return True

    def _answers(self) -> dict[str, int]:
        """The version that answers for each model's `stable`; a model is missing while no server runs.

        Each answer, with and without the label, must come from one version that is not older than the last.
        """
        stable = {}
        for model in MODELS:
            for label in (model_store.STABLE, None):
                try:
                    answer = self._client.predict(model, INPUTS, label=label, timeout=1.0)
                except UnavailableError:
                    continue
                except SegueError as error:
                    self._fail(f"{model}: {error.headline}")
                    continue
                smallest, largest = int(answer["smallest"][0]), int(answer["largest"][0])
                if smallest != largest:
                    self._fail(f"an incomplete version of {model} answers: its parts are of {smallest} to {largest}")
                if smallest < self._last.get((model, label), 0):
                    self._fail(f"{model} went back from {self._last[model, label]} to {smallest}")
                self._last[model, label] = smallest
                if label is not None:
                    stable[model] = smallest
        return stable

    def _check_store(self) -> None:
        stable = self.stable()
        # A kill fell into a push if it left a version without a label, or a temporary file.
        unlabelled = any(max(model_store.versions(self.root, model)) > stable.get(model, 0) for model in MODELS)
        self.kills_within_a_push += unlabelled or any(self.root.rglob(f"{files.TEMPORARY}*"))
        if set(stable) != set(MODELS) or len(set(stable.values())) != 1:
            self._fail(f"the two models must have the same stable version: stable is {stable}")
        for model, version in stable.items():
            try:
                if not verify(self.root, model, version):
                    self._fail(f"{model} {version} is stable but incomplete")
            except InputError as error:
                self._fail(error.headline)


def push(root: Path, base: Path) -> None:
    """Push the next version of both models, with its number in all its parts.

    Raises:
        SegueError: the store gave the version another number.
    """
    versions = (v for model in model_store.models(root) for v in model_store.versions(root, model))
    version = 1 + max(versions, default=0)
    for part in PARTS:
        (base / "template" / "assets" / part).write_text(f"{version}\n" * LINES)
    pushed = model_store.push(root, dict.fromkeys(MODELS, base / "template"))
    if pushed != version:
        raise SegueError(
            f"A push must get the number after the newest version, {version}. It got {pushed}.",
            "Look for another process that pushes to the same store.",
        )


def make_template(path: Path) -> None:
    """Write the SavedModel that all versions are copies of, in a process of its own because it needs TensorFlow.

    Raises:
        SegueError: the process failed; the fix shows the end of its output.
    """
    run_module("benchmarks.serving.kill", "template", path, timeout=120, quiet=True)


def save_template(path: Path) -> None:
    """Save a model that answers with the smallest and the largest number in its files."""
    import tensorflow as tf

    module = tf.Module()
    sources = path.with_name("parts")
    sources.mkdir()
    module.tables = []
    for part in PARTS:
        (sources / part).write_text("0\n" * LINES)
        lines = tf.lookup.TextFileInitializer(
            str(sources / part), tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.int64, 0
        )
        module.tables.append(tf.lookup.StaticHashTable(lines, -1))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def numbers(x: Any) -> Any:
        values = tf.concat([table.lookup(tf.range(LINES, dtype=tf.int64)) for table in module.tables], 0)
        ones = tf.ones_like(x, tf.int64)
        return {"smallest": tf.reduce_min(values) * ones, "largest": tf.reduce_max(values) * ones}

    tf.saved_model.save(module, str(path), signatures={"serving_default": numbers})
    shutil.rmtree(sources)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "ballast").write_bytes(random.Random(0).randbytes(BALLAST))


def push_on(base: Path, seed: int, parent: int) -> None:
    """Push version after version until this process is killed or the process `parent`, which started it, is gone."""
    chance = random.Random(seed)
    while os.getppid() == parent:
        push(base / "models", base)
        with (base / "pushes").open("a") as file:
            file.write("1\n")
        time.sleep(chance.uniform(0, LONGEST_PAUSE))


if __name__ == "__main__":
    if sys.argv[1] == "template":
        save_template(Path(sys.argv[2]))
    else:
        push_on(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
