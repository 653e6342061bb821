"""A fixture for folders that are expensive to build: one worker of a test run builds each, and all share it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


@pytest.fixture(scope="session")
def build_once(tmp_path_factory, worker_id) -> Callable[..., Path]:
    """`build_once(name, build)`: the folder `name` of the test run, after `build(folder)` has filled it once.

    The first worker that asks for a folder builds it, and the other workers wait. `build` gets a path that does not
    exist. If it fails, the next worker that asks builds anew.
    """
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "built_once"  # one folder for all workers
    root.mkdir(exist_ok=True)

    def once(name: str, build: Callable[[Path], object]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                build(folder)
                done.touch()
        return folder

    return once
