"""A lock has one holder, names it to others, and ends with it."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from segue.errors import UnavailableError
from segue.lock import latched, locked

pytestmark = pytest.mark.usefixtures("default_signals")

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOLD = """
import pathlib, sys, time
from datetime import UTC, datetime
from segue.lock import locked
with locked(pathlib.Path(sys.argv[1]), "segue run training", datetime(2026, 1, 5, 12, tzinfo=UTC)):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_refused_and_told_who_holds_the_lock(tmp_path, other):
    with pytest.raises(UnavailableError) as caught, locked(tmp_path / "lock", "forget", NOON, 0.1):
        pass
    assert f"Process {other.pid} has done so since 2026-01-05 12:00:00 UTC: segue run training" in caught.value.headline
    assert caught.value.exit_code == 75


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_lock_ends_with_its_holder(tmp_path, other, number):
    os.kill(other.pid, number)
    with locked(tmp_path / "lock", "forget", NOON):
        assert str(os.getpid()) in (tmp_path / "lock").read_text()


def test_a_latch_lets_one_in_at_a_time(tmp_path):
    inside: list[int] = []

    def enter() -> None:
        with latched(tmp_path / "data"):
            inside.append(1)
            assert len(inside) == 1
            inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: enter(), range(50)))


def test_the_lock_is_free_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock", "forget", NOON, 0):
            1 / 0  # noqa: B018
