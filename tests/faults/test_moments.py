"""The writes of a process that last are found by watching it."""

import os
from pathlib import Path

import pytest

from segue.files import TEMPORARY, atomic_path, write_text
from tests.faults.moments import at_moment, note, watch


def writes(home: Path) -> None:
    """Write a file twice, and a folder twice; remove both, and what no other process sees."""
    for _ in range(2):
        write_text(home / "runs" / "training-20260301T120000" / "report.json", "x")
        with atomic_path(home / "data") as temporary:
            temporary.mkdir()
            (temporary / "events").touch()
    (home / "runs" / "training-20260301T120000" / "report.json").unlink()
    (home / "data").rename(home / f"{TEMPORARY}data")
    write_text(home.parent / "elsewhere", "x")


@pytest.mark.slow
def test_moments_are_named_after_what_is_written(tmp_path):
    if (process := os.fork()) == 0:
        try:
            watch(tmp_path / "home", note(tmp_path / "moments"))
            writes(tmp_path / "home")
        finally:
            os._exit(0)
    os.waitpid(process, 0)
    assert (tmp_path / "moments").read_text().splitlines() == [
        "runs/training/report.json",
        "data",
        "runs/training/report.json (2)",
        "data (2)",
        "runs/training/report.json is removed",
        "data is removed",
    ]


def test_one_moment_is_chosen():
    came: list[str] = []
    only = at_moment("b", came.append)
    for moment in "abc":
        only(moment)
    assert came == ["b"]
