"""Feast is imported without the run-time type checks that take most of its start."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_feast_is_not_instrumented():
    code = (
        "import feature_repo, feast, inspect\n"
        "source = inspect.getsourcefile(feast.Entity.__init__)\n"
        "assert 'typeguard' not in feast.Entity.__init__.__code__.co_names, source\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)
