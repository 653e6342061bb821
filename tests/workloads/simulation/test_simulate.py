"""Two days of a nano world: served, collected and trained on, with everything real, also after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from events.world.day import DAY
from monitoring.report import Check
from segue.settings import Home
from tests.support.nano_loop import NANO_CONFIG, copied_models
from workloads.monitoring.watch import step
from workloads.simulation.day import instant

MORE = ("--drift", "behaviour", "--drift-day", "2", "--retrain-every", "2", "--config", str(NANO_CONFIG))
DAYS = ("simulate", "--days", "2", *MORE)
# The gateway of a day, and it alone, serves a feature in another unit.
SCALED = """
import sys
if "gateway" in sys.orig_argv:
    from surfaces.hydrate import OnlineFeatures
    read = OnlineFeatures.hydrate
    def scaled(self, request):
        features = read(self, request)
        return {**features, "user_plays_28d": 60 * (features["user_plays_28d"] or 0.0)}
    OnlineFeatures.hydrate = scaled
"""


@pytest.mark.slow
def test_two_days_with_a_kill_are_served_collected_and_trained_on_and_skew_is_named(
    trained_world, one_process, tmp_path
):
    home = trained_world.home
    record = home.simulation / "day-0028.jsonl"
    environment = {**os.environ, "SEGUE_HOME": str(home.root)}
    command = [sys.executable, "-c", "from cli import main; main()", *DAYS]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True) as first:
        deadline = time.monotonic() + 900
        while not (record.is_file() and record.read_bytes().count(b"\n") >= 6):
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(first.pid, signal.SIGKILL)
    # The sequence model is copied, because its training costs most and is compared in tests/models/sequence.
    result = trained_world(*DAYS, "--json", env=one_process(copied_models(home, "sequence")))
    assert result.returncode == 0, result.stderr
    simulated = json.loads(result.stdout)
    days, gain = simulated["days"], simulated["gain"]
    assert [day["day"] for day in days] == [28, 29]
    for day in days:
        assert day["pages"] > 3
        assert day["collected"]["expected"] > 10
        assert day["collected"]["missing"] == day["collected"]["unexpected"] == 0
        assert day["exposures"]["expected"] > day["pages"]
        assert [day["exposures"][name] for name in ("missing", "unexpected", "changed")] == [0, 0, 0]
        assert day["features"]["requests"] > 3
        assert day["features"]["different"] == 0
        assert 0 < day["reward"] < day["best_reward"]
        assert day["fallback"] < 0.5
        assert 0 < day["policies"]["frozen"] == day["policies"]["loop"] < day["policies"]["oracle"]
    assert days[1]["policies"]["oracle"] < 0.8 * days[0]["policies"]["oracle"]  # plays have become too short
    (training,) = days[1]["actions"]
    assert training["status"] == "pushed" or "data validation" not in training["reason"]
    assert (gain is None) == (training["status"] != "pushed")
    if gain:
        assert gain["pages"] == 600
        assert gain["difference"] == pytest.approx(gain["last"] - gain["first"])
        assert gain["low"] <= gain["difference"] <= gain["high"]
    assert (home.simulation / "simulation.png").read_bytes().startswith(b"\x89PNG")
    assert "<table>" in (home.simulation / "simulation.html").read_text()
    assert trained_world.json(*DAYS)["days"] == days  # nothing is left to do
    assert json.loads((home.simulation / "simulation.json").read_text())["days"] == days
    silent = skew_of(home, 29)
    assert silent.verdict.passed
    assert silent.effect == 0
    assert silent.verdict.figures["requests"] == days[1]["features"]["requests"]
    (tmp_path / "sitecustomize.py").write_text(SCALED)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    third = trained_world("simulate", "--days", "3", *MORE, "--json", env={"PYTHONPATH": path})
    assert third.returncode == 0, third.stderr
    assert json.loads(third.stdout)["days"][2]["features"]["different"] > 3
    planted = skew_of(home, 30)
    assert planted.verdict.figures["failed_levels"] == ["user_plays_28d"]
    assert planted.verdict.reason.startswith("user_plays_28d differs from the join of training in ")
    shutil.copytree(home.simulation, tmp_path / "other" / "simulation")
    beside = trained_world.json("simulate", "--days", "3", *MORE, "--beside", str(tmp_path / "other"))
    for day in beside["days"]:
        assert day["policies"]["other"] == pytest.approx(day["policies"]["loop"])
    assert "<th>other</th>" in (home.simulation / "simulation.html").read_text()


def skew_of(home: Home, day: int) -> Check:
    """The check of the features that a day was served with."""
    report = step(home, instant((day + 1) * DAY) + timedelta(hours=2))
    return next(check for check in report.checks if check.name == "skew")
