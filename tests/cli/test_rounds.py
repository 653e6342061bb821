"""A command that goes on: one round, or rounds until a signal, also after a fault that may pass."""

import errno
import time

import pytest

from cli.rounds import rounds
from segue.errors import UnavailableError


def test_without_a_pause_there_is_one_round_whose_error_ends_the_command():
    with pytest.raises(UnavailableError):
        rounds(failing(UnavailableError("The server does not answer.", "Start it.")), None)


def test_rounds_go_on_after_faults_that_a_person_can_mend(monkeypatch, capsys):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    full = OSError(errno.ENOSPC, "No space left on device", "reports/retraining.json")
    with pytest.raises(KeyboardInterrupt):
        rounds(failing(UnavailableError("It does not answer.", "Start it."), full, None, KeyboardInterrupt()), 5)
    assert slept == [5, 5, 5]
    first, second = capsys.readouterr().err.splitlines()
    assert first == "It does not answer. Start it."
    assert second.startswith("No space left on device: reports/retraining.json Free some space")


def test_a_fault_of_the_code_ends_the_rounds():
    with pytest.raises(ZeroDivisionError):
        rounds(failing(ZeroDivisionError()), 5)


def failing(*errors):
    """A function whose calls raise the errors in turn; None for a call that succeeds."""
    left = iter(errors)

    def once():
        if error := next(left):
            raise error

    return once
