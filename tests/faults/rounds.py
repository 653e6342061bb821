"""Rounds of fault injection: end a command at a random moment, look at what it left, and run it again."""

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from segue.files import TEMPORARY, tree_sha256
from segue.settings import Home
from tests.faults.checks import faults
from tests.faults.commands import Command, commands

SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "hup": signal.SIGHUP}
FULL = "full"
TIMEOUT = 300.0


@dataclass(frozen=True)
class Round:
    """A round.

    Attributes:
        command: the command's name.
        fault: `kill`, `term`, `hup` or `full`.
        moment: when it came: seconds, the number of a step, or the bytes that a file may have.
        hit: whether it came before the command had ended.
        wrong: what is wrong, a sentence each.
    """

    command: str
    fault: str
    moment: str
    hit: bool
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Undisturbed:
    """What a command does without a fault: its seconds, its steps in the home, its largest file, and its `data`."""

    seconds: float
    steps: int
    largest: int
    data: str


def run_rounds(names: list[str], seed: int, inputs: Path, folder: Path) -> Iterator[Round]:
    """Run a round for each name of a command, in this order.

    Args:
        names: names of commands.
        seed: one seed, the same faults; the moments follow the machine.
        inputs: what `commands.make_inputs` made.
        folder: an empty folder.
    """
    chance = random.Random(seed)
    every = commands(inputs)
    measured = {name: measure(every[name], inputs / "home", folder / "undisturbed" / name) for name in set(names)}
    for number, name in enumerate(names):
        place = folder / f"{number}-{name}"
        kinds = [*SIGNALS] if name == "serve" else [*SIGNALS, FULL]  # a server writes nothing
        fault = kinds[names[:number].count(name) % len(kinds)]
        yield run_round(every[name], fault, chance, measured[name], inputs / "home", place)
        shutil.rmtree(place)


def measure(command: Command, template: Path, folder: Path) -> Undisturbed:
    """Run a command in a copy of a home, without a fault."""
    home = folder / "home"
    shutil.copytree(template, home)
    began, steps = time.time(), folder / "steps"
    count = f"from tests.support.killed import count_steps\ncount_steps({str(home)!r}, {str(steps)!r})"
    process = command.start(home, folder / "site", in_first_process(folder / "site", count))
    wrong = finish(command, process)
    assert not wrong, wrong
    written = [path.stat().st_size for path in home.rglob("*") if path.is_file() and path.stat().st_mtime >= began]
    largest = max(written, default=0)
    return Undisturbed(time.time() - began, int(steps.read_text()), largest, tree_sha256(home / "data"))


def run_round(
    command: Command, fault: str, chance: random.Random, usual: Undisturbed, template: Path, folder: Path
) -> Round:
    """Disturb a command once, check what it left, and run it again."""
    root = folder / "home"
    shutil.copytree(template, root)
    home = Home(root)
    whole = {tree_sha256(home.data), usual.data}
    if fault == FULL:
        limit = chance.randrange(usual.largest)
        moment = f"{limit:,} bytes"
        limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}
        process = command.start(root, folder / "site", **limits)
    elif chance.random() < 0.5 and command.name != "serve":
        step = chance.randint(1, usual.steps)
        moment = f"step {step} of {usual.steps}"
        end = f"lambda: os.killpg(0, {int(SIGNALS[fault])})"
        change = f"import os\nfrom tests.support.killed import at_step\nat_step({step}, {end}, {str(root)!r})"
        process = command.start(root, folder / "site", in_first_process(folder / "site", change))
    else:
        seconds = usual.seconds * chance.choice((chance.random(), 1 - chance.random() / 3))
        moment = f"{seconds:.2f} of {usual.seconds:.2f} s"
        process = command.start(root, folder / "site")
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        if process.poll() is None:
            os.killpg(process.pid, SIGNALS[fault])
    errors = wait(process)
    hit = process.returncode != 0
    wrong = list(wrong_end(fault, process.returncode, errors)) if hit else []
    wrong += faults(home, whole)
    wrong += left_behind(root) if fault == FULL else []
    wrong += finish(command, command.start(root, folder / "site"))
    wrong += faults(home, {usual.data})
    wrong += left_behind(root)
    return Round(command.name, fault, moment, hit, wrong)


def left_behind(root: Path) -> list[str]:
    """Return the unfinished files in a home, a sentence each."""
    return [f"left: {path.relative_to(root)}" for path in root.rglob(f"{TEMPORARY}*")]


def in_first_process(site: Path, change: str) -> str:
    """Return code that only the command's own process runs, not its child processes."""
    mark = site / "begun"
    mark.unlink(missing_ok=True)
    body = change.replace("\n", "\n    ")
    return f"import pathlib\nmark = pathlib.Path({str(mark)!r})\nif not mark.exists():\n    mark.touch()\n    {body}\n"


def wrong_end(fault: str, code: int, errors: str) -> Iterator[str]:
    """Yield what is wrong with the way in which a disturbed command ended."""
    lines = errors.splitlines()
    if "Traceback" in errors:
        yield f"a traceback: {errors[-2000:]}"
    elif fault == FULL and (code, [line[:7] for line in lines[-2:]]) != (75, ["error: ", "  fix: "]):
        yield f"a full disk ended with {code}: {errors[-500:]}"
    elif fault != FULL and code not in (128 + SIGNALS[fault], -SIGNALS[fault]):
        yield f"{fault} ended with {code}: {errors[-500:]}"


def finish(command: Command, process: subprocess.Popen) -> list[str]:
    """Wait for the end of a command without a fault; return what is wrong. A server is told to end once it serves."""
    assert process.stdout
    if command.ready:
        for line in process.stdout:
            if line.startswith(command.ready):
                process.terminate()
    errors = wait(process)
    return [f"undisturbed, it ended with {process.returncode}: {errors[-2000:]}"] if process.returncode else []


def wait(process: subprocess.Popen) -> str:
    """Wait until a process has ended, and return what it printed on stderr; one that does not end is killed."""
    try:
        return process.communicate(timeout=TIMEOUT)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return f"{process.communicate()[1]}\nIt did not end within {TIMEOUT:.0f} s."
