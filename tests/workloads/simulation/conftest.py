"""A home with a trained nano world of version 2, made once; each test has a copy of its own."""

import shutil
from pathlib import Path

import pytest

from tests.support.nano_loop import NANO_CONFIG, Segue, in_one_process


@pytest.fixture
def trained_world(build_once, tmp_path) -> Segue:
    """A copy of a home with a trained nano world of version 2."""

    def build(folder: Path) -> None:
        segue = Segue(folder)
        segue.json("data", "import", "synthetic", "--size", "nano", "--world", "2")
        site = in_one_process(tmp_path / "training")
        assert segue.json("run", "training", "--config", str(NANO_CONFIG), env=site)["status"] == "pushed"

    return Segue(shutil.copytree(build_once("trained-world", build), tmp_path / "home"))
