"""Text of others is shown on a terminal, and never obeyed."""

import pytest

from segue.terminal import say, visible

OBEYED = {
    "\x1b[31mred": r"\x1b[31mred",
    "a\rb": r"a\rb",
    "a\nb\tc": r"a\nb\tc",
    "bell\a": r"bell\x07",
    "null\x00": r"null\x00",
    "\x9b31m": r"\x9b31m",  # the one-byte form of ESC [
    "\x7f": r"\x7f",
    "\u202egnp.exe": r"\u202egnp.exe",
    "\u2067isolate\u2069": r"\u2067isolate\u2069",
    "line\u2028break": r"line\u2028break",
    "byte \udcff": r"byte \udcff",
}


@pytest.mark.parametrize("text", OBEYED)
def test_what_a_terminal_would_obey_is_an_escape(text):
    assert visible(text) == OBEYED[text]


@pytest.mark.parametrize(
    "text",
    [
        "Blue Train [remastered]",
        "Sun :sun: Moon",
        "[/remix]",
        "日本語",
        "é ñ ß",
        "👩\u200d🚀",
        "می\u200cخواهم",
        "a\u00a0b",
    ],
)
def test_all_other_text_stays(text):
    assert visible(text) == text


@pytest.mark.parametrize("err", [False, True])
def test_a_line_that_is_said_is_one_line(capsys, err):
    say("a\nb \x1b]0;title\a [/x]", err=err)
    assert capsys.readouterr()[err] == "a\\nb \\x1b]0;title\\x07 [/x]\n"
