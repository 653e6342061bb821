"""Tables and progress lines print data as data."""

import ast
import io
from pathlib import Path

import pytest
from rich.console import Console

from cli.output import print_table
from cli.pipelines.progress import Steps

ROOT = Path(__file__).resolve().parents[2]
TITLES = ["[live] music", "Sun :sun: Moon", "Track 1 [/remix]", "[bold]", "[link=http://x]y[/link]", "\\[a]"]


@pytest.mark.parametrize("text", TITLES)
@pytest.mark.parametrize("place", ["title", "header", "cell"])
def test_a_table_prints_brackets_and_emoji_codes_as_they_are(capsys, text, place):
    parts = {"title": "t", "header": "h" * 40, "cell": "c", place: text}
    print_table(parts["title"], [parts["header"]], [[parts["cell"]]])
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "ring\a", "\u202etxt", "\udc80", "two\nlines"])
@pytest.mark.parametrize("place", ["title", "header", "cell"])
def test_a_table_sends_no_control_character(capsys, text, place):
    parts = {"title": "t", "header": "h" * 40, "cell": "c", place: text}
    print_table(parts["title"], [parts["header"]], [[parts["cell"]]])
    out = capsys.readouterr().out
    assert text.encode("unicode_escape", "surrogatepass").decode() in out
    assert text not in out


@pytest.mark.parametrize("columns", ["0", "1", "20", "40", "80", "-3", "many"])
def test_a_narrow_terminal_cuts_no_cell(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    print_table("title", ["first", "second", "third", "fourth"], [["q" * 90, "日本語" * 9, 7, "x" * 30]])
    out = capsys.readouterr().out
    assert (out.count("q"), out.count("語"), out.count("x")) == (90, 9, 30)
    assert "…" not in out


def test_numbers_and_missing_values_are_cells(capsys):
    print_table("t", ["a", "b", "c"], [[0.12346, None, 7]])
    out = capsys.readouterr().out
    assert "0.1235" in out
    assert "None" in out


@pytest.mark.parametrize(
    "title", ["Imported: parquet-export", "What u00002 did last", "a b c d e f g h", "长 标题 长 标题"]
)
def test_a_title_that_is_longer_than_its_table_stays_on_one_line(capsys, title):
    print_table(title, ["h"], [["c"]])
    assert capsys.readouterr().out.splitlines()[0] == title


@pytest.mark.parametrize("text", ["[/x] 1 of 2", ":sun: [live]", "\x1b[2Jgone"])
def test_the_bar_shows_progress_as_data(monkeypatch, text):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    steps = Steps(["train"])
    steps.update({"step": "train", "status": "running"})
    steps.say(text)
    console = Console(width=120, file=io.StringIO())
    console.print(steps.bar.get_renderable())
    shown = console.file.getvalue()
    assert "\x1b" not in shown
    assert text.replace("\x1b", "\\x1b") in shown


def test_commands_print_only_by_the_functions_that_make_data_visible():
    for path in [*(ROOT / "cli").glob("*.py"), ROOT / "serving/command.py", ROOT / "segue/entry.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and path.name != "output.py":
                assert ast.unparse(node.func) not in ("click.echo", "click.secho", "print"), f"{path}:{node.lineno}"
