"""`segue models list`, and `--help` and `--version` of `segue serve`."""

import json
import re
import subprocess
import sys
import time
from importlib.metadata import version

import pytest
from click.testing import CliRunner

from serving.flags import OPTIONS
from serving.store import model_store


@pytest.fixture
def run(home, monkeypatch):
    """Call a `segue` command on an empty home."""
    from cli import cli

    monkeypatch.setenv("SEGUE_HOME", str(home.root))
    return lambda *args: CliRunner().invoke(cli, args, catch_exceptions=False)


@pytest.fixture
def two_versions(home, tmp_path):
    """Versions 1 and 2 of `a`; 1 is corrupt."""
    source = tmp_path / "exported"
    source.mkdir()
    (source / "saved_model.pb").write_bytes(b"graph")
    for _ in range(2):
        model_store.push(home.models, {"a": source})
    (home.models / "a" / "1" / "saved_model.pb").write_bytes(b"other")


def test_list_shows_versions_labels_and_faults(run, two_versions):
    entries = json.loads(run("models", "list", "--json").output)["models"]["a"]

    assert [(entry["version"], entry["labels"], entry["whole"]) for entry in entries] == [
        (1, [], False),
        (2, ["stable"], True),
    ]
    assert entries[0]["faults"] == ["saved_model.pb has changed"]
    table = run("models", "list").output
    assert "corrupt" in table
    assert "stable" in table


def test_list_of_an_empty_store(run):
    assert json.loads(run("models", "list", "--json").output)["models"] == {}


def test_serve_prints_its_versions(run):
    lines = run("serve", "--version").output.splitlines()

    assert lines == [
        f"TensorFlow ModelServer: segue {version('segue')}",
        f"TensorFlow Library: {version('tensorflow')}",
    ]


def test_serve_refuses_unknown_arguments(run):
    unknown = run("serve", "--model_basepath=/m")
    stray = run("serve", "--enable_batching", "false")

    assert (unknown.exit_code, stray.exit_code) == (2, 2)
    assert "--model_base_path" in unknown.output  # the error suggests the nearest flag
    assert "unexpected extra argument (false)" in stray.output


def test_help_shows_every_flag_with_its_default_once(run):
    _, _, text = run("serve", "--help").output.partition("\nModels (")

    shown = re.findall(r"^  (?:-h, )?(--\w+)", text, re.MULTILINE)
    assert shown == [*(option.opts[0] for option in OPTIONS), "--help"]
    text = " ".join(text.split())
    assert text.count("[default: ") == len(OPTIONS)
    assert "[default: 127.0.0.1]" in text


def test_help_answers_without_tensorflow():
    code = (
        "import sys; from cli import cli; cli(['serve', '--help'], standalone_mode=False); "
        "sys.exit('tensorflow' in sys.modules or 'grpc' in sys.modules)"
    )
    began = time.monotonic()

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert "--model_config_file_poll_wait_seconds" in result.stdout
    assert time.monotonic() - began < 5  # it takes half a second on an idle machine
