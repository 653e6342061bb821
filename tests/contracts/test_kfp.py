"""Kubeflow Pipelines' local runner: branches and exit tasks, which version 2.16.1 skipped or refused."""

import functools
from pathlib import Path

import pytest
from kfp import dsl, local

component = functools.partial(dsl.component, install_kfp_package=False)


@component
def choose(value: int) -> int:
    """Return a value to branch on."""
    return value


@component
def touch(folder: str, name: str):
    """Create an empty file as a trace; with the name `fail`, fail instead."""
    import pathlib

    if name == "fail":
        raise ValueError("as asked")
    (pathlib.Path(folder) / name).touch()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run tasks as subprocesses in this environment."""
    from kfp.local.config import LocalExecutionConfig

    monkeypatch.setattr(LocalExecutionConfig, "instance", LocalExecutionConfig.instance)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # each task leaves its source in a temporary folder
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))


def traces(folder: Path) -> set[str]:
    """Return the names of the tasks that ran."""
    return {path.name for path in folder.iterdir()}


def test_if_runs_only_the_true_branch_and_the_exit_task_runs(runner, tmp_path):
    """If this fails, a model without a blessing is pushed, or a blessed model is not."""

    @dsl.pipeline
    def branching(folder: str):
        last = touch(folder=folder, name="exit")
        with dsl.ExitHandler(last):
            chosen = choose(value=1)
            with dsl.If(chosen.output == 1):
                touch(folder=folder, name="taken")
            with dsl.If(chosen.output == 2):
                touch(folder=folder, name="skipped")

    folder = tmp_path / "traces"
    folder.mkdir()
    branching(folder=str(folder))
    assert traces(folder) == {"taken", "exit"}


def test_the_exit_task_runs_after_a_failure_and_the_failure_is_raised(runner, tmp_path):
    """If this fails, a failed run has no report, or counts as a success."""

    @dsl.pipeline
    def failing(folder: str):
        last = touch(folder=folder, name="exit")
        with dsl.ExitHandler(last):
            touch(folder=folder, name="fail")

    folder = tmp_path / "traces"
    folder.mkdir()
    with pytest.raises(RuntimeError, match="touch"):
        failing(folder=str(folder))
    assert traces(folder) == {"exit"}
