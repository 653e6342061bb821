"""Kubeflow Pipelines' local runner: what 2.16.1 skipped or refused, and we rely on."""

import functools
from pathlib import Path

import pytest
from kfp import dsl, local

component = functools.partial(dsl.component, install_kfp_package=False)


@component
def choose(value: int) -> int:
    """A task with an output to branch on."""
    return value


@component
def touch(folder: str, name: str):
    """A task that leaves a trace; named `fail` it leaves none and fails."""
    import pathlib

    if name == "fail":
        raise ValueError("as asked")
    (pathlib.Path(folder) / name).touch()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks run as subprocesses in this environment."""
    from kfp.local.config import LocalExecutionConfig

    monkeypatch.setattr(LocalExecutionConfig, "instance", LocalExecutionConfig.instance)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # each task leaves its source in a temporary folder
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))


def traces(folder: Path) -> set[str]:
    """The names of the tasks that ran."""
    return {path.name for path in folder.iterdir()}


def test_if_takes_the_branch_that_holds_and_the_exit_task_runs(runner, tmp_path):
    """If this fails, an unblessed model is pushed, or a blessed one is not."""

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


def test_the_exit_task_runs_after_a_failure_that_is_raised(runner, tmp_path):
    """If this fails, a failed run leaves no report, or passes for a success."""

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
