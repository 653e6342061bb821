"""An installed Segue has every file that a checkout has."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_files_that_are_no_code_are_in_the_packages():
    names = [pattern.rstrip("*") for pattern in SETTINGS["packages"]["find"]["include"]]
    present = {
        path
        for name in names
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "egg-info" not in str(path)
    }
    packed = {
        path
        for package, patterns in SETTINGS["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    assert present == packed
    assert ROOT / "surfaces/operator/static/index.html" in packed
