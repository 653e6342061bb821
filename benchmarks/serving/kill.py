"""kill -9 during pushes and reloads: after a restart the newest whole version answers, never a half one.

Every version's answer is made of all parts of the version, and each part holds the version's number: the lines of two
files beside the graph. A pusher process pushes version after version of two models; `segue serve` follows.
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

from benchmarks.serving.benchmark import Say
from benchmarks.serving.process import ending, free_port, kill, start, start_server, wait_ready
from segue import files
from segue.errors import InputError, SegueError, UnavailableError
from serving.client.sync_client import Client
from serving.store import model_store as store

MODELS = ("left", "right")  # pushed together: their stable versions are always the same
PARTS = ("a.txt", "b.txt")
LINES = 20_000
LONGEST_WAIT = 1.5  # seconds from a push to the kill
LONGEST_PAUSE = 0.3  # seconds between two pushes
BALLAST = 16 * 2**20  # bytes beside the graph, so that a push takes long enough to be hit
SETTLE_SECONDS = 30.0
X = {"x": np.zeros(1, np.float32)}


def run(rounds: int, seed: int, say: Say) -> dict[str, Any]:
    """Kill and restart.

    Args:
        rounds: how often.
        seed: of the moments and the victims.
        say: takes a line of progress.

    Returns:
        `rounds`, `pusher_kills`, `kills_within_a_push`, `server_kills`, `pushes`, `slowest_restart_seconds` (until
        the first answers; 0 if the server was never killed), `failures` (texts).

    Raises:
        SegueError: the models cannot be made, or the server does not start on a store that nobody has touched.
    """
    with TemporaryDirectory(prefix="segue-kill-") as folder, contextlib.ExitStack() as stack:
        trial = Trial(Path(folder), random.Random(seed), stack)
        for number in range(1, rounds + 1):
            victims = trial.round()
            say(f"{number}/{rounds} killed {' and '.join(victims)}; stable is {trial.stable()}")
        return {
            "rounds": rounds,
            "pusher_kills": trial.kills["pusher"],
            "kills_within_a_push": trial.within,
            "server_kills": trial.kills["server"],
            "pushes": trial.pushes(),
            "slowest_restart_seconds": trial.slowest_restart,
            "failures": trial.failures,
        }


class Trial:
    """The store, the two processes and what was seen of them."""

    def __init__(self, base: Path, chance: random.Random, stack: contextlib.ExitStack) -> None:
        self.base, self.root, self.log = base, base / "models", base / "server.log"
        self.chance, self.stack = chance, stack
        self.port = free_port()
        self.kills = {"pusher": 0, "server": 0}
        self.within = 0
        self.failures: list[str] = []
        self.slowest_restart = 0.0
        self._last: dict[tuple[str, str | None], int] = {}
        self._client = stack.enter_context(Client(f"127.0.0.1:{self.port}"))
        make_template(base / "template")
        push(self.root, base)
        self.server = self._start_server()
        wait_ready(self.server, self._client.address, MODELS, self.log)

    def round(self) -> tuple[str, ...]:
        """Push, kill, restart, check; what was killed."""
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
            # The server came back while versions were pushed.
            self._watch(self.chance.uniform(0, LONGEST_WAIT))
            self._kill("pusher", pusher)
        self._check_store()
        if not self._follows():
            self._fail(f"the server answers {self._answers()}, stable is {self.stable()}")
        return victims

    def stable(self) -> dict[str, int]:
        """model -> its stable version, as the store says."""
        return {model: known[store.STABLE] for model, known in store.labels(self.root).items()}

    def pushes(self) -> int:
        """How many pushes came to their end."""
        path = self.base / "pushes"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def _fail(self, text: str) -> None:
        self.failures.append(f"after {self.kills['pusher']} and {self.kills['server']} kills: {text}")

    def _start_server(self) -> subprocess.Popen:
        return self.stack.enter_context(ending(start_server(self.port, [], self.base, self.log)))

    def _start_pusher(self) -> subprocess.Popen:
        seed = str(self.chance.randrange(2**31))
        command = ["-m", "benchmarks.serving.kill", "pusher", str(self.base), seed, str(os.getpid())]
        return self.stack.enter_context(ending(start(command, self.base / "pusher.log")))

    def _kill(self, name: str, process: subprocess.Popen) -> None:
        if process.poll() is not None:
            log = self.log if name == "server" else self.base / "pusher.log"
            self._fail(f"the {name} had ended by itself: {log.read_text(errors='replace')[-500:]}")
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
        """Whether the server answers with the stable versions, at once or soon."""
        return self._watch(SETTLE_SECONDS, until=lambda: self._answers() == self.stable())

    def _watch(self, seconds: float, until: Any = lambda: False) -> bool:
        """Look at the answers for a while, or until a condition holds; whether it did."""
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() >= deadline:
                return False
            self._answers()
            time.sleep(0.01)
        return True

    def _answers(self) -> dict[str, int]:
        """model -> the version that its answer for `stable` tells; none where no server runs.

        Each answer is checked, with and without the label: it is of one version, and none older than the last.
        """
        found = {}
        for model in MODELS:
            for label in (store.STABLE, None):
                try:
                    answer = self._client.predict(model, X, label=label, timeout=1.0)
                except UnavailableError:
                    continue
                except SegueError as error:
                    self._fail(f"{model}: {error.headline}")
                    continue
                least, most = int(answer["least"][0]), int(answer["most"][0])
                if least != most:
                    self._fail(f"a half version of {model} answers: its parts are of {least} to {most}")
                if least < self._last.get((model, label), 0):
                    self._fail(f"{model} went back from {self._last[model, label]} to {least}")
                self._last[model, label] = least
                if label is not None:
                    found[model] = least
        return found

    def _check_store(self) -> None:
        stable = self.stable()
        unlabelled = any(max(store.versions(self.root, model)) > stable.get(model, 0) for model in MODELS)
        self.within += unlabelled or any(self.root.rglob(f"{files.TEMPORARY}*"))
        if set(stable) != set(MODELS) or len(set(stable.values())) != 1:
            self._fail(f"the models were not pushed as one: stable is {stable}")
        for model, version in stable.items():
            try:
                if not store.verify(self.root, model, version):
                    self._fail(f"{model} {version} is stable and not whole")
            except InputError as error:
                self._fail(error.headline)


def push(root: Path, base: Path) -> None:
    """Push the next version of both models, with its number in all its parts.

    Raises:
        SegueError: the store gave it another number.
    """
    version = 1 + max((v for model in store.models(root) for v in store.versions(root, model)), default=0)
    for part in PARTS:
        (base / "template" / "assets" / part).write_text(f"{version}\n" * LINES)
    pushed = store.push(root, dict.fromkeys(MODELS, base / "template"))
    if pushed != version:
        raise SegueError(f"The store gave the number {pushed} to version {version}.", "")


def make_template(path: Path) -> None:
    """Write the SavedModel that the versions are copies of, in a process of its own: it takes TensorFlow.

    Raises:
        SegueError: it failed; with the end of what it printed.
    """
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.serving.kill", "template", str(path)]
    made = subprocess.run(command, timeout=120, capture_output=True, text=True)
    if made.returncode:
        raise SegueError("The model of the benchmark could not be made.", f"It ended with:\n{made.stderr[-2000:]}")


def save_template(path: Path) -> None:
    """A model whose answer is the least and the most of the numbers in its files."""
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
        found = tf.concat([table.lookup(tf.range(LINES, dtype=tf.int64)) for table in module.tables], 0)
        ones = tf.ones_like(x, tf.int64)
        return {"least": tf.reduce_min(found) * ones, "most": tf.reduce_max(found) * ones}

    tf.saved_model.save(module, str(path), signatures={"serving_default": numbers})
    shutil.rmtree(sources)
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "ballast").write_bytes(random.Random(0).randbytes(BALLAST))


def push_on(base: Path, seed: int, parent: int) -> None:
    """Push until killed, or until the process that started this one is gone."""
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
