"""Fixtures: a home with a nano world, trained once a session, and copies of it for tests that change it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from segue.settings import Home


class Segue:
    """Runs the `segue` command on one home.

    A call runs it in a process of its own, as users do. `json` runs it in the process of the tests, which has imported
    TensorFlow, Feast and KFP already: a process of its own takes 5 to 10 s for that.
    """

    def __init__(self, root: Path) -> None:
        self.home = Home(root)

    def __call__(self, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", "from cli import main; main()", *arguments]
        environment = {**os.environ, "SEGUE_HOME": str(self.home.root), **(env or {})}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)

    def json(self, *arguments: str, env: dict[str, str] | None = None) -> dict:
        """The JSON that a command prints; a command that fails raises its error."""
        from cli import cli

        environment = {"SEGUE_HOME": str(self.home.root), **(env or {})}
        done = CliRunner().invoke(cli, [*arguments, "--json"], env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def trained(build_once) -> Segue:
    """A trained home with a pushed first version, made once for all workers. Tests change copies only (`branch`)."""

    def build(folder: Path) -> None:
        segue = Segue(folder)
        imported = segue("data", "import", "synthetic", "--size", "nano", "--seed", "0")
        assert imported.returncode == 0, imported.stderr
        run = segue("run", "training", "--config", str(NANO_CONFIG), "--json")
        assert run.returncode == 0, run.stderr
        ended = json.loads(run.stdout)
        assert ended["status"] == "pushed", ended["reason"]

    return Segue(build_once("trained", build))


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
