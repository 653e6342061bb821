"""The `segue` command: its help, its errors and its output."""

import io
import os
import subprocess
import sys
import time

import pytest

from cli import COMMANDS
from segue.entry import buffered

LIMIT = 0.5  # seconds


def segue(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **env})


def test_help_lists_every_command_and_answers_at_once():
    segue("--help")  # the first start of a fresh checkout writes bytecode
    # The best of three, because a busy machine slows single calls down.
    best = float("inf")
    for _ in range(3):
        started = time.monotonic()
        done = segue("--help")
        best = min(best, time.monotonic() - started)
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert best < LIMIT


@pytest.mark.parametrize("command", COMMANDS)
def test_the_line_in_help_is_the_commands_own_subject(command):
    done = segue(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def test_the_error_for_an_unknown_command_lists_all_commands():
    done = segue("tarin")
    assert done.returncode == 2
    assert "no command is named 'tarin'" in done.stderr
    assert "recommend" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recommend", "--user", "u"), "No version of the model 'retrieval' is served yet."),
        (("retrain", "--if-needed"), "--if-needed acts on a drift verdict; there is none yet."),
        (("run", "training"), "No data set has been imported."),
        (("data", "describe"), "No data set has been imported."),
        (("models", "rollback"), "fix:"),
        (("run", "training", "--seed", "-1"), "seed must be greater than or equal to 0. Received -1."),
        (("run", "monitoring", "--seed", "4294967296"), "seed must be less than 4294967296."),
        (("run", "search", "--trials", "0"), "search.trials must be greater than or equal to 1. Received 0."),
        (("run", "training", "--config", "absent.yaml"), "The configuration absent.yaml cannot be read"),
    ],
)
def test_a_command_out_of_order_says_what_to_do(tmp_path, arguments, message):
    done = segue(*arguments, SEGUE_HOME=str(tmp_path))
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_of_an_empty_home(tmp_path):
    done = segue("status", SEGUE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "nothing yet" in done.stdout


class ShortWrites(io.RawIOBase):
    """A file that accepts ten bytes per write, like a pipe that accepts only part of an interrupted write."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.content += bytes(data[:10])
        return min(len(data), 10)


def test_an_unbuffered_stdout_loses_nothing_to_short_writes():
    file = ShortWrites()
    unbuffered = io.TextIOWrapper(file, "utf-8", write_through=True)

    print("a line that is longer than ten bytes: é", file=buffered(unbuffered))

    assert file.content.decode() == "a line that is longer than ten bytes: é\n"


def test_a_buffered_stdout_stays_as_it_is():
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")

    assert buffered(stream) is stream
