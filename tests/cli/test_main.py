"""The `segue` command: its help, its errors and its output."""

import io
import os
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cli import COMMANDS, cli
from segue.entry import buffered
from segue.errors import InputError


def segue(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **env})


def test_help_lists_every_command():
    done = segue("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def test_help_loads_nothing_heavy():
    """If this fails, `segue --help` takes seconds."""
    heavy = ("numpy", "pandas", "pyarrow", "duckdb", "tensorflow", "mlflow", "feast", "kfp", "pydantic", "boto3")
    script = f"import sys, cli, segue.__main__; sys.exit(' '.join(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_the_line_in_help_begins_as_the_commands_own_help_does(command):
    done = segue(command, "--help")
    assert done.returncode == 0, done.stderr
    usage, text = done.stdout.split("\n\n")[:2]
    assert usage.startswith("Usage: ")
    assert text.split()[0] == COMMANDS[command][1].split()[0]


def test_the_error_for_an_unknown_command_lists_all_commands():
    done = segue("tarin")
    assert done.returncode == 2
    assert "no command is named 'tarin'" in done.stderr
    assert "recommend" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recommend", "--user", "u"), "No version of the model 'retrieval' is served yet."),
        (("retrain", "--if-needed"), "--if-needed acts on a decision; there is none yet."),
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


@pytest.fixture
def hostile_home(home, tmp_path):
    """A home whose catalogue tries what a terminal or a table would obey."""
    titles = ["[live] 日本語", "Track 1 [/remix]", "Sun :sun: Moon", "\x1b[31mred"]
    pq.write_table(
        pa.table({"item_id": list("abcd"), "title": titles, "content_type": ["[/album]"] * 4}), tmp_path / "i.parquet"
    )
    when = [datetime(2026, 1, 1, 12, n, tzinfo=UTC) for n in range(4)]
    events = {
        "event_id": list("1234"),
        "user_id": ["ü", "ü", "v", "v"],
        "item_id": list("abcd"),
        "ts": when,
        "action": ["play"] * 4,
    }
    pq.write_table(pa.table(events), tmp_path / "e.parquet")
    done = segue(
        *("data", "import", "parquet", "--events", f"{tmp_path}/e.parquet", "--items", f"{tmp_path}/i.parquet"),
        SEGUE_HOME=str(home.root),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(home.root)


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C.UTF-8"},
    ],
    ids=str,
)
def test_every_terminal_gets_the_characters_that_it_has(hostile_home, env):
    for arguments in (("data", "describe"), ("data", "describe", "--user", "ü")):
        if arguments[-1] == "ü" and "PYTHONUTF8" in env:
            continue  # the argument itself is refused there
        command = [sys.executable, "-m", "segue", *arguments]
        done = subprocess.run(command, capture_output=True, env={**os.environ, "SEGUE_HOME": hostile_home, **env})
        assert done.returncode == 0, done.stderr
        encoding = env.get("PYTHONIOENCODING", "utf-8" if "PYTHONUTF8" not in env else "ascii").partition(":")[0]
        text = done.stdout.decode(encoding)  # nothing but characters of that encoding
        assert "\x1b" not in text
        assert "[/album]" in text or "Track 1 [/remix]" in text
    missing = subprocess.run(
        [sys.executable, "-m", "segue", "data", "describe", "--user", "日本"],
        capture_output=True, env={**os.environ, "SEGUE_HOME": hostile_home, **env},
    )  # fmt: skip
    assert missing.returncode == 2
    assert b"Traceback" not in missing.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("recommend", "--user", "u\udcff"),
        ("data", "import", "parquet", "--events", "caf\udce9.csv"),
        ("serve", "--model_config_file=\udc80"),
        ("models", "promote", "--label", "\udcff"),
    ],
)
def test_an_argument_that_is_no_text_is_refused(arguments):
    with pytest.raises(InputError, match="Arguments and the names of files are UTF-8"):
        cli.main(list(arguments), standalone_mode=False)


@pytest.mark.parametrize(
    "arguments", [("--x\x1b[31m",), ("data", "describe", "a\x1bb"), ("data", "describe", "--u\rser"), ("\u202edata",)]
)
def test_errors_quote_arguments_without_their_control_characters(arguments):
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert not any(character in done.output for character in "\x1b\r\u202e")
    assert any(escape in done.output for escape in (r"\x1b", r"\r", r"\u202e"))


@pytest.mark.parametrize("place", ["folder", "home", "configuration"])
def test_a_file_name_that_is_no_text_is_refused(tmp_path, monkeypatch, place):
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setenv("SEGUE_HOME", str(folder if place == "home" else tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    arguments = ["data", "describe"]
    if place == "folder":
        arguments = ["data", "import", "parquet", "--events", "."]
    if place == "configuration":
        arguments = ["run", "training", "--config", str(folder)]
    (tmp_path / "b\udcff.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError):
        cli.main(arguments, standalone_mode=False)


@pytest.mark.parametrize("group", ["data", "models", "run", "bench"])
def test_a_group_without_a_command_prints_its_help(group):
    done = CliRunner().invoke(cli, [group])
    assert f"Usage: cli {group} " in done.output
    assert done.output.count("\n") > 5
    assert "Error" not in done.output


def test_python_m_segue_is_the_command():
    done = subprocess.run([sys.executable, "-m", "segue", "tarin"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no command is named 'tarin'" in done.stderr


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ({"ranking": {"stable": 1}}, "ranking stable 1"),
        ({"ranking": {"canary": 3, "stable": 2}}, "ranking canary 3, stable 2"),
        ({"ranking": {"stable": 1}, "retrieval": {"stable": 1}}, "ranking stable 1; retrieval stable 1"),
        ({"ranking": {"it's best": 1}}, "ranking it's best 1"),
    ],
)
def test_status_says_what_is_served_in_words(served, expected):
    from cli.status import text

    assert text(served) == expected


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
