"""A failed step names itself, its cause and its log; a killed run leaves nothing half-pushed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from serving.store import labels, verify, versions
from tests.pipelines.conftest import NANO_CONFIG

pytestmark = pytest.mark.slow


def test_a_failed_step_names_itself_its_cause_and_its_log(branch, tmp_path):
    segue = branch()
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'build_features' in sys.orig_argv:\n"
        "    import feature_repo.build as B\n"
        "    def fail(*_):\n"
        "        raise OSError('the disk is full')\n"
        "    B.write = fail\n"
    )
    done = segue("run", "training", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert "The step build-features failed. build-features: OSError: the disk is full" in done.stderr
    log = next(segue.home.runs.glob("training-*")) / "run.log"
    assert str(log) in done.stderr
    assert "the disk is full" in log.read_text()
    assert "Traceback" not in done.stderr


def test_a_run_needs_an_imported_log(tmp_path):
    from tests.pipelines.conftest import Segue

    done = Segue(tmp_path)("run", "training")
    assert done.returncode == 2
    assert "segue data import" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("step", ["train-ranking", "push"])
def test_a_killed_run_leaves_whole_versions_and_a_rerun_is_clean(branch, train, step):
    segue = branch()
    command = [sys.executable, "-c", "from segue.cli import main; main()", "run", "training"]
    environment = {**os.environ, "SEGUE_HOME": str(segue.home.root)}
    run = subprocess.Popen(
        [*command, "--config", str(NANO_CONFIG)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list(segue.home.runs.glob(f"*/steps/{step}.json")):
        assert run.poll() is None, "the run ended before the step began"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGTERM)
    run.wait(30)
    for model, known in labels(segue.home.models).items():
        assert verify(segue.home.models, model, known["stable"])
        for version in versions(segue.home.models, model):
            assert verify(segue.home.models, model, version)
    if step == "push":
        return  # one rerun is enough
    assert train(segue)["status"] == "pushed"
