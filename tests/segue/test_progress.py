"""Lines of progress come neither too often nor too late."""

from segue.progress import MARK, Progress, say


def test_a_line_is_printed_once_the_time_is_up(capsys):
    now = [0.0]
    progress = Progress(lambda: now[0], seconds=10.0)
    for second in range(0, 31, 5):
        now[0] = float(second)
        progress(f"at {second}")
    assert capsys.readouterr().out == f"{MARK}at 10\n{MARK}at 20\n{MARK}at 30\n"


def test_what_is_said_is_printed_at_once(capsys):
    say("at most 8 epochs")
    assert capsys.readouterr().out == f"{MARK}at most 8 epochs\n"
