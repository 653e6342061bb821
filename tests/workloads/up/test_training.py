"""A training that is started from the operator's page is the command's, one at a time, and ends with `segue up`."""

import time

import pytest

from segue.errors import UnavailableError
from tests.support.soon import SECONDS
from workloads.up import training as module
from workloads.up.training import training


@pytest.fixture
def command(monkeypatch):
    """Replace `segue run training` by a module of Python's that ends at once, or waits: `command("this")`."""
    started = module.start

    def choose(*arguments):
        monkeypatch.setattr(module, "start", lambda asked, log: started(list(arguments) or asked, log))

    return choose


def ended(runs):
    """The state of a run that has ended."""
    deadline = time.monotonic() + SECONDS
    while runs.state()["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return runs.state()


def test_nothing_was_started_at_first(home):
    with training(home) as runs:
        assert runs.state() is None


@pytest.mark.slow
def test_the_command_says_what_it_needs(home, monkeypatch):
    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    with training(home) as runs:
        runs.start("no reason -- but 'quotes' and\t\u202e")
        state = ended(runs)
    assert (state["running"], state["exit_code"]) == (False, 2)
    assert "segue data import" in state["said"]


def test_one_run_at_a_time_and_none_is_left(home, command):
    command("http.server", "--bind", "127.0.0.1", "0")  # runs until it is ended
    with training(home) as runs:
        runs.start("first")
        process = runs._process
        with pytest.raises(UnavailableError, match="still at work"):
            runs.start("second")
    assert process.poll() is not None


def test_a_run_that_has_ended_can_be_followed_by_another(home, command):
    command("this")
    with training(home) as runs:
        for reason in ("one", "two"):
            runs.start(reason)
            assert ended(runs)["said"].startswith("Namespaces are one honking great idea")
