"""Servers as processes: they are waited for, and end with all of their children."""

import time

import psutil
import pytest

from segue.errors import UnavailableError
from tests.support.soon import SECONDS
from workloads.up.processes import accepts, free_port, running, start, stop

PARENT = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])\n"


def test_a_server_runs_while_the_body_runs(tmp_path):
    port = free_port()
    command = ["http.server", str(port), "--bind", "127.0.0.1"]
    with running("server", command, tmp_path / "logs" / "server.log", lambda: accepts(port), "try again"):
        assert accepts(port)
    assert not accepts(port)


def test_a_command_that_ends_is_an_error_with_its_log(tmp_path):
    log = tmp_path / "log"
    with (
        pytest.raises(UnavailableError, match="exit code so far is 1") as error,
        running("server", ["no_such_module"], log, lambda: False, "try again"),
    ):
        pass
    assert error.value.fix == f"Read {log}, and try again."
    assert "no_such_module" in log.read_text()


def test_children_of_a_process_end_with_it(tmp_path, monkeypatch):
    (tmp_path / "parent_of_one.py").write_text(PARENT)
    process = start(["parent_of_one"], tmp_path / "log", {"PYTHONPATH": str(tmp_path)})
    deadline = time.monotonic() + SECONDS
    while not (children := psutil.Process(process.pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    stop(process)
    psutil.wait_procs(children, SECONDS)
    assert not children[0].is_running()
