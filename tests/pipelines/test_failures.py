"""The error of a failed step names the step, its cause and its log; a killed run leaves only whole versions."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segue.files import read_json
from serving.store.model_store import labels
from serving.store.versions import verify, versions
from tests.support.nano_loop import NANO_CONFIG, Segue, copied_models
from tests.support.soon import SECONDS

pytestmark = pytest.mark.slow


def test_a_failed_step_names_itself_its_cause_and_its_log(branch, tmp_path):
    segue = branch()
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'build_features' in sys.orig_argv:\n"
        "    from feature_repo import build\n"
        "    def fail(*_):\n"
        "        raise OSError(28, 'No space left on device')\n"
        "    build.write = fail\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = segue("run", "training", env={"PYTHONPATH": path})
    assert done.returncode == 75
    assert "The step build-features failed. No space left on device" in done.stderr
    log = next(segue.home.runs.glob("training-*")) / "run.log"
    assert str(log) in done.stderr
    assert log.read_text().count("=== step build-features ===") == 1  # a person is told at once
    assert "No space left on device" in log.read_text()
    assert "Traceback" not in done.stderr


def test_a_run_needs_an_imported_log(tmp_path):
    done = Segue(tmp_path)("run", "training")
    assert done.returncode == 2
    assert "segue data import" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_log_without_positives_is_one_clear_line(tmp_path):
    segue = Segue(tmp_path / "home")
    (tmp_path / "log.csv").write_text(
        "event_id,user_id,item_id,ts,action,request_id\n"
        + "".join(f"e{n},u{n % 3},i{n % 5},2026-01-{n % 20 + 1:02d}T10:00,impression,r{n}\n" for n in range(200))
    )
    assert segue("data", "import", "parquet", "--events", str(tmp_path / "log.csv")).returncode == 0
    done = segue("run", "training")
    assert done.returncode == 2
    assert "error: Ranking is judged by a label that is 1 for some events and 0 for others." in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_killed_run_leaves_whole_versions_and_a_rerun_gives_the_same_metrics(branch, trained, one_process, tmp_path):
    segue = branch()
    # The first run had no champion whose weights it could start from, so the rerun starts from none either.
    config = tmp_path / "nano.yaml"
    config.write_text(f"warm_start: false\n{NANO_CONFIG.read_text()}")
    command = [sys.executable, "-c", "from cli import main; main()", "run", "training"]
    run = subprocess.Popen(
        [*command, "--config", str(config)],
        env={**os.environ, "SEGUE_HOME": str(segue.home.root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not list(segue.home.runs.glob("*/steps/make-training-set.json")):
        assert run.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGTERM)
    assert run.wait(SECONDS) != 0
    killed = next(segue.home.runs.glob("training-*"))
    before = {path: path.stat().st_mtime_ns for path in killed.rglob("*")}
    for model, model_labels in labels(segue.home.models).items():
        assert versions(segue.home.models, model) == [model_labels["stable"]]
        assert verify(segue.home.models, model, model_labels["stable"])

    # The sequence model is copied, because its training costs most and is compared in tests/models/sequence.
    changes = copied_models(segue.home, "sequence")
    rerun = segue.json("run", "training", "--config", str(config), env=one_process(changes))
    assert rerun["status"] == "pushed"
    assert rerun["version"] == 2
    after = {path: path.stat().st_mtime_ns for path in killed.rglob("*")}
    assert after == before  # no process of the killed run went on
    first = read_json(next(trained.home.runs.glob("training-*")) / "evaluation.json")
    second = read_json(Path(rerun["folder"]) / "evaluation.json")
    for head in ("play", "skip", "like"):
        expected = first["ranking"]["candidate"][head]["auc"]
        assert second["ranking"]["candidate"][head]["auc"] == pytest.approx(expected, rel=0.01)
    expected = first["retrieval"]["models"]["candidate"]["recall_at_100"]
    assert second["retrieval"]["models"]["candidate"]["recall_at_100"] == pytest.approx(expected, rel=0.01)
    # The second run was compared with a champion of the same data set.
    assert set(second["ranking"]) == {"candidate", "champion"}
