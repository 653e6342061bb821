"""Signals end a command as an exception does, so that its `finally` blocks run."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.soon import SECONDS

pytestmark = pytest.mark.usefixtures("default_signals")

ROOT = Path(__file__).resolve().parents[2]
WAIT = """
import os, time
from segue.entry import enter
def wait():
    try:
        print("waiting", flush=True)
        {wait}
    finally:
        print("cleaned up", flush=True)
enter(wait)
"""


# Many short sleeps: a signal that comes between Python's check for signals and one long sleep would wait for its end.
SLEEP = "[time.sleep(0.01) for _ in range(3000)]"
WRAPPED = """
        try:
            {sleep}
        except BaseException as error:
            raise {error} from error
"""


def ended(number: int, wait: str, **options) -> tuple[int, str]:
    """Send a signal to a waiting command; return its exit code and what it printed after that."""
    command = [sys.executable, "-c", WAIT.format(wait=wait)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, **options) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        return process.wait(SECONDS), process.stdout.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_command_clean_up(number):
    assert ended(number, SLEEP) == (128 + number, "cleaned up\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "error", ['RuntimeError("Query interrupted")', 'ImportError("initialization failed")', "OSError(5, 'I/O')"]
)
def test_a_signal_that_a_library_makes_another_error_of_ends_the_command_quietly(number, error):
    wait = WRAPPED.format(error=error, sleep=SLEEP)
    assert ended(number, wait, stderr=subprocess.STDOUT) == (128 + number, "cleaned up\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_until_a_library_is_loaded(number):
    wait = f"""
        from importlib.machinery import ExtensionFileLoader
        class Loader(ExtensionFileLoader):
            def exec_module(self, module):
                os.kill(os.getpid(), {number})
                for _ in range(100):
                    time.sleep(0.001)  # the signal's handler runs here
                print("loaded", flush=True)
        Loader("a", "a.so").exec_module(None)
        time.sleep(30)"""
    assert loaded(wait) == (128 + number, "loaded\ncleaned up\n")


def loaded(wait: str) -> tuple[int, str]:
    """Run a command that sends itself a signal; return its exit code and what it printed."""
    command = [sys.executable, "-c", WAIT.format(wait=wait)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return done.returncode, done.stdout.removeprefix("waiting\n")


def test_nohup_outlives_its_terminal():
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    assert ended(signal.SIGHUP, "time.sleep(0.3)", **ignore) == (0, "cleaned up\n")
