"""The loop over Redis, PostgreSQL and S3, each step in an empty home, gives what the embedded stores give."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from models.evaluation.report import flat_metrics
from segue.files import read_json
from segue.settings import Home
from stores import parts
from tests.support.nano_loop import NANO_CONFIG, Segue
from workloads.operating.agree import stable_reference

pytestmark = pytest.mark.slow

# Each step has a home of its own, and the addresses of the stores that it uses; at the others nothing listens.
EACH_STEP_AT_HOME = """
    import os, tempfile
    from kfp.local import subprocess_task_handler
    execute = subprocess_task_handler.run_local_subprocess
    users = {
        # ingest collects the journal; the last two ask whether a roll-out runs
        "SEGUE_ONLINE_STORE": ("redis://127.0.0.1:9/0", ["ingest", "refresh_online", "push", "monitor"]),
        "SEGUE_REGISTRY": ("postgresql://segue@127.0.0.1:9/feast", ["refresh_online"]),
        "SEGUE_TRACKING": ("postgresql://segue@127.0.0.1:9/mlflow", ["register", "report", "monitor"]),
    }
    stores = {name: os.environ[name] for name in users}
    def in_an_empty_home(full_command, **options):
        os.environ["SEGUE_HOME"] = tempfile.mkdtemp(prefix="step-", dir=os.environ["STEP_HOMES"])
        for name, (nowhere, steps) in users.items():
            os.environ[name] = stores[name] if set(steps) & set(full_command) else nowhere
        return execute(full_command, **options)
    subprocess_task_handler.run_local_subprocess = in_an_empty_home
"""
USERS = ["u00002", "u00003", "u00004"]


def started(home: Path, *arguments: str, env: dict[str, str]) -> subprocess.Popen:
    """Start the `segue` command on a home."""
    command = [sys.executable, "-m", "segue", *arguments]
    environment = {**os.environ, **env, "SEGUE_HOME": str(home)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def recommended(segue: Segue, env: dict[str, str]) -> list:
    """What a home recommends to some listeners."""
    users = [word for user in USERS for word in ("--user", user)]
    return segue.json("recommend", "-k", "10", *users, env=env)["recommendations"]


def test_the_loop_gives_the_same_as_the_embedded_stores(trained, cluster, one_process, tmp_path):
    embedded = dict.fromkeys(cluster, "") | {"SEGUE_PROFILE": "embedded"}
    importing = Segue(tmp_path / "importing")
    assert importing("data", "import", "synthetic", "--size", "nano", "--seed", "0").returncode == 0

    # Two runs at once, on machines of their own; each step of each run in a new, empty home, with its own stores alone.
    site, processes, step_homes = one_process(EACH_STEP_AT_HOME), [], []
    for name in ("one", "two"):
        step_homes.append(tmp_path / f"steps-{name}")
        step_homes[-1].mkdir()
        env = site | {"STEP_HOMES": str(step_homes[-1])}
        arguments = ("run", "training", "--config", str(NANO_CONFIG), "--json")
        processes.append(started(tmp_path / f"runner-{name}", *arguments, env=env))
    ended = []
    for process in processes:
        out, err = process.communicate(timeout=1800)
        assert process.returncode == 0, err
        ended.append(json.loads(out))
    assert sorted(run["version"] for run in ended) == [1, 2]
    assert {run["status"] for run in ended} == {"pushed"}
    for homes, run in zip(step_homes, ended, strict=True):
        steps = list((Path(run["folder"]) / "steps").glob("*.json"))
        assert len(list(homes.glob("step-*"))) == len(steps) > 1

    # The run that pushed first had no champion, as the embedded one.
    first = next(run for run in ended if run["version"] == 1)
    (expected,) = [run for run in trained.home.run_folders() if run.evaluation.is_file()]
    figures = flat_metrics(read_json(Path(first["folder"]) / "evaluation.json"))
    assert figures == pytest.approx(flat_metrics(read_json(expected.evaluation)), rel=1e-6)

    # A machine that has seen nothing recommends from version 1, what the embedded home recommends.
    fresh = Segue(tmp_path / "fresh")
    assert fresh("models", "promote", "1").returncode == 0
    assert recommended(fresh, {}) == recommended(trained, embedded)
    monitored = fresh.json("run", "monitoring", "--config", str(NANO_CONFIG))
    assert monitored["status"] == "compared"
    again = Home(tmp_path / "again")
    parts.bring(again, parts.REPORTS)
    assert read_json(again.drift_verdict)["passed"]
    windows = [pd.read_parquet(path) for path in (again.current_window, stable_reference(trained.home))]
    # Features and predictions, column by column; the heads of a model come in any order.
    pd.testing.assert_frame_equal(*windows, rtol=1e-6, check_like=True)
