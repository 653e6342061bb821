"""The transcripts of the page about your own data are what the commands print."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
TRANSCRIPTS = re.findall(r"^```console\n\$ segue (.*?)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("command", "printed"), TRANSCRIPTS, ids=[command[:60] for command, _ in TRANSCRIPTS])
def test_transcript(tmp_path, monkeypatch, command, printed):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    output = CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False).output
    assert [line.rstrip() for line in output.splitlines()] == printed.splitlines()
