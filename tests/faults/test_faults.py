"""A command that is killed, or finds the disk full, leaves the old state or the new one, and can be run again.

A round of `run` trains twice and takes minutes. It is left to `python -m tests.faults commands`, because
tests/pipelines/test_failures.py kills a run too.
"""

import pytest

from tests.faults.commands import make_inputs
from tests.faults.rounds import run_rounds

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("default_signals")]


@pytest.fixture
def inputs(build_once, saved_models):
    """What the commands need."""
    return build_once("fault_inputs", lambda folder: make_inputs(folder, saved_models["one"]))


@pytest.mark.parametrize(
    ("name", "count", "seed"), [("import", 4, 1), ("push", 4, 2), ("promote", 4, 3), ("serve", 1, 4)]
)
def test_a_disturbed_command_leaves_no_half_state(inputs, tmp_path, name, count, seed):
    for each in run_rounds([name] * count, seed, inputs, tmp_path):
        assert not each.wrong, each
