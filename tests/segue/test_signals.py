"""Signals end a command as an exception does, so that its `finally` blocks run."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("default_signals")

ROOT = Path(__file__).resolve().parents[2]
WAIT = """
import time
from segue.entry import enter
def wait():
    try:
        print("waiting", flush=True)
        time.sleep({seconds})
    finally:
        print("cleaned up", flush=True)
enter(wait)
"""


def ended(number: int, seconds: float, **options) -> tuple[int, str]:
    """Send a signal to a waiting command; return its exit code and what it printed after that."""
    command = [sys.executable, "-c", WAIT.format(seconds=seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, **options) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        return process.wait(20), process.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_command_clean_up(number):
    assert ended(number, 30) == (128 + number, "cleaned up\n")


def test_nohup_outlives_its_terminal():
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    assert ended(signal.SIGHUP, 0.3, **ignore) == (0, "cleaned up\n")
