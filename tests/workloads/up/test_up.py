"""`segue up` as it runs: it moves on from a taken port, and leaves nothing when it ends, however it ends."""

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time

import httpx
import psutil
import pytest

from segue.errors import InputError
from stores.servers import free_ports
from tests.support.processes import ROOT, Running
from tests.support.soon import SECONDS
from workloads.up.up import bind, next_free


def test_a_taken_port_moves_on_and_says_so():
    said: list[str] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with next_free(port, bind, said.append) as bound:
            assert bound.getsockname()[1] > port
            assert said == [f"port {port} is taken, so this goes to port {bound.getsockname()[1]}"]


def test_a_free_port_is_taken_without_a_word():
    said: list[str] = []
    (port,) = free_ports(1)
    assert next_free(port, lambda one: one, said.append) == port
    assert not said


@pytest.mark.parametrize("port", [8700, 65_535])
def test_no_free_port_is_an_error(port):
    with pytest.raises(InputError, match="All are taken"):
        next_free(port, lambda one: None, lambda line: None)


def gone(processes):
    """Whether processes have ended, within some seconds."""
    return not psutil.wait_procs(processes, 20)[1]


@pytest.mark.slow
def test_sigterm_ends_the_model_server_and_mlflow_too(branch, default_signals):
    home = branch().home
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = Running(home.root, ["up", "--read-only", "--port", str(port)], r"player +(\S+)").wait()
    assert f"port {port} is taken" in "".join(up.lines)
    assert f":{port}/" not in up.address
    assert "default-src 'self'" in httpx.get(up.address).headers["content-security-policy"]
    assert httpx.get(up.address.replace("player", "operator") + "open/MLflow").status_code == 200  # it starts
    children = psutil.Process(up.process.pid).children(recursive=True)
    commands = [" ".join(child.cmdline()) for child in children]
    assert any("segue serve" in command for command in commands)
    assert any("mlflow server" in command for command in commands)
    refused = httpx.post(up.address.replace("player/", "v1/events"), json={"events": []})
    assert (refused.status_code, "read-only" in refused.text) == (403, True)
    assert up.end(signal.SIGTERM) == 0
    assert gone(children)
    assert not home.journal.exists()


@pytest.mark.slow
def test_a_closed_terminal_ends_all(branch, default_signals):
    home = branch().home
    own, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "segue", "up", "--port", str(free_ports(1)[0])],
        env={**os.environ, "SEGUE_HOME": str(home.root), "PYTHONPATH": str(ROOT)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    said, deadline = b"", time.monotonic() + 120
    while b"Ctrl-C stops" not in said:
        assert time.monotonic() < deadline
        said += os.read(own, 4096)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.close(own)
    process.wait(SECONDS)
    assert gone(children)
