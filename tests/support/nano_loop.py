"""Fixtures: a home with a nano world, trained once a session, and copies of it for tests that change it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

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
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)

    def json(self, *arguments: str, env: dict[str, str] | None = None) -> dict:
        """The JSON that a command prints; a command that fails raises its error."""
        from cli import cli

        environment = {"SEGUE_HOME": str(self.home.root), **(env or {})}
        done = CliRunner().invoke(cli, [*arguments, "--json"], env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def trained(build_once) -> Segue:
    """A trained home with a pushed first version, made once for all workers. Tests change copies only (`branch`).

    Its path has every kind of character that a library once took for something else.
    """

    def build(folder: Path) -> None:
        segue = Segue(folder / NASTY)
        imported = segue("data", "import", "synthetic", "--size", "nano", "--seed", "0")
        assert imported.returncode == 0, imported.stderr
        run = segue("run", "training", "--config", str(NANO_CONFIG), "--json")
        assert run.returncode == 0, run.stderr
        ended = json.loads(run.stdout)
        assert ended["status"] == "pushed", ended["reason"]

    return Segue(build_once("trained", build) / NASTY)


@pytest.fixture
def one_process(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """`one_process(changes)`: the environment in which a pipeline runs all its steps in one process.

    `changes` is Python code that runs there first, for instance to make a step fail.
    """

    return lambda changes="": in_one_process(tmp_path / "site", changes)


def in_one_process(folder: Path, changes: str = "") -> dict[str, str]:
    """The environment of `one_process`, whose start is written to a new folder."""
    folder.mkdir()
    start = "import sys\nif 'pipelines.local' in sys.orig_argv:\n    import tests.support.one_process\n"
    (folder / "sitecustomize.py").write_text(start + indent(dedent(changes), "    "))
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def train(one_process) -> Callable[..., dict]:
    """`train(segue, changes)`: runs the training pipeline of a home with the nano world's configuration.

    All steps run in one process, after the Python code `changes`.
    """

    def run(segue: Segue, changes: str = "") -> dict:
        return segue.json("run", "training", "--config", str(NANO_CONFIG), env=one_process(changes))

    return run


def copied_models(home: Home, *models: str) -> str:
    """Changes for `one_process`: the steps that would train these models copy the newest version that the home has."""
    return "\n".join(
        dedent(f"""
            import shutil
            from pathlib import Path
            import workloads.training.train_{model}
            def copy_{model}(run, *paths):
                versions = [path for path in Path({str(home.models / model)!r}).iterdir() if path.name.isdigit()]
                with run.step("workloads.train_{model}"):
                    shutil.copytree(max(versions, key=lambda path: int(path.name)), paths[-1], dirs_exist_ok=True)
            workloads.training.train_{model}.step = copy_{model}
        """)
        for model in models
    )


@pytest.fixture
def branch(trained: Segue, tmp_path: Path) -> Callable[[], Segue]:
    """A function that copies the trained home, for tests that change it."""

    def copy() -> Segue:
        root = tmp_path / "home"
        shutil.copytree(trained.home.root, root, ignore=shutil.ignore_patterns("runs", ".lock"))
        return Segue(root)

    return copy


ROOT = Path(__file__).resolve().parents[2]
NASTY = "né #1: 'a' \"b\" 日本 $HOME&{y};%20"
NANO_CONFIG = Path(__file__).with_name("nano.yaml")
