"""Fixtures: a home with a nano world, trained once a session, and copies of it for tests that change it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from segue.settings import Home


class Segue:
    """Runs the `segue` command on one home, each time in a process of its own as users do."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)

    def __call__(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", "from cli import main; main()", *arguments]
        environment = {**os.environ, "SEGUE_HOME": str(self.home.root), **(env or {})}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)

    def json(self, *arguments: str, env: dict[str, str] | None = None) -> dict:
        done = self(*arguments, "--json", env=env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, worker_id) -> Segue:
    """A trained home with a pushed first version, made once for all workers. Tests change copies only (`branch`)."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    segue = Segue(shared / "trained")
    with FileLock(shared / "trained.lock"):
        if not (shared / "trained.done").exists():
            segue.json("data", "import", "synthetic", "--size", "nano", "--seed", "0")
            ended = segue.json("run", "training", "--config", str(NANO_CONFIG))
            assert ended["status"] == "pushed", ended["reason"]
            (shared / "trained.done").touch()
    return segue


@pytest.fixture
def train() -> Callable[..., dict]:
    """A function that runs the training pipeline of a home with the configuration of the nano world."""

    def run(segue: Segue, env: dict[str, str] | None = None) -> dict:
        return segue.json("run", "training", "--config", str(NANO_CONFIG), env=env)

    return run


@pytest.fixture
def branch(trained: Segue, tmp_path: Path) -> Callable[[], Segue]:
    """A function that copies the trained home, for tests that change it."""

    def copy() -> Segue:
        root = tmp_path / "home"
        shutil.copytree(trained.home.root, root, ignore=shutil.ignore_patterns("runs", ".lock"))
        return Segue(root)

    return copy


NANO_CONFIG = Path(__file__).with_name("nano.yaml")
