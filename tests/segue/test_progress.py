"""Lines of progress come neither too often nor too late."""

import pytest

from segue.progress import MARK, Progress, duration, say


def test_a_line_is_said_once_the_time_is_up():
    now, lines = [0.0], []
    progress = Progress(lambda: now[0], lines.append)
    for second in range(0, 31, 5):
        now[0] = float(second)
        progress(lambda: f"at {now[0]:.0f}")
    assert lines == ["at 10", "at 20", "at 30"]
    assert progress.passed() == 30


def test_a_line_in_between_starts_the_wait_anew():
    now, lines = [0.0], []
    progress = Progress(lambda: now[0], lines.append)
    now[0] = 8.0
    progress.now("epoch 1")
    now[0] = 12.0
    progress(lambda: "too early")
    assert lines == ["epoch 1"]


def test_a_line_in_a_log_is_marked(capsys):
    say("at most 8 epochs")
    assert capsys.readouterr().out == f"{MARK}at most 8 epochs\n"


@pytest.mark.parametrize(("seconds", "text"), [(45.2, "45 s"), (119, "119 s"), (720, "12 min"), (12600, "3.5 h")])
def test_durations_read_plainly(seconds, text):
    assert duration(seconds) == text
