"""A benchmark's child processes: their failures reach the caller with their output."""

import pytest

from benchmarks.subprocesses import run_module
from segue.errors import SegueError


def test_a_quiet_failure_shows_the_end_of_the_output():
    with pytest.raises(SegueError, match="tool ended with") as raised:
        run_module("json.tool", "no-such-file.json", quiet=True)
    assert "no-such-file.json" in raised.value.fix


def test_a_module_runs_in_the_given_folder(tmp_path):
    (tmp_path / "in.json").write_text("[1]")
    run_module("json.tool", "in.json", "out.json", cwd=tmp_path)
    assert (tmp_path / "out.json").exists()
