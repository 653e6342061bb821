"""A training in no time: runner, records, push, registration and report are real, other steps write small files.

It stands for the process that `pipelines.runner` starts, and runs the steps in the process of the runner, so that a
kill ends all of them.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from events.ingest import ingest
from feature_repo import preflight
from models.saved.card import CARD
from pipelines import runner
from segue.files import read_json, write_json, write_text
from segue.settings import Home
from serving.protocol import prediction_log
from tests.support.loops import evaluation
from workloads import push, register, report
from workloads.run import Run

MODELS = ("ranking", "retrieval", "sequence")
NO_PROCESS = 2**22 + 1  # a pid that Linux never gives


def stand_in() -> None:
    """Let trainings of this process take no time."""
    parts = ("PIPE", "STDOUT", "TimeoutExpired")
    runner.subprocess = SimpleNamespace(Popen=Process, **{name: getattr(subprocess, name) for name in parts})
    preflight.require_labels = lambda *_: None


class Process:
    """The process of a run, which has ended when it is made."""

    pid = NO_PROCESS
    returncode = 0

    def __init__(self, command: list[str], env: Mapping[str, str], **_: Any) -> None:
        os.environ["SEGUE_RUN_ID"] = env["SEGUE_RUN_ID"]
        run = Run.now(read_json(Path(command[-1]) / "request.json")["config"])
        train(run)
        report.step(run)

    def wait(self, timeout: float | None = None) -> int:
        """It has ended."""
        return self.returncode


def train(run: Run) -> None:
    """Run the steps of a training whose models pass every gate."""
    made = run.folder.artifacts
    with run.step("ingest") as result:
        result.update(ingest(run.home.data, made / "log", run.config.split))
    for name in ("build-features", "make-training-set", "refresh-online", "learn-layout"):
        with run.step(name):
            write_text(made / name, name)
    with run.step("validate-data") as result:
        write_json(run.folder.validation, {})
        result["passed"] = True
    for model in MODELS:
        with run.step(f"train-{model}"):
            write_text(made / model / "saved_model.pb", f"{model} of {run.id}")
    with run.step("evaluate") as result:
        write_json(run.folder.evaluation, evaluation(auc=0.6))
        result["passed"] = True
    with run.step("infra-validate") as result:
        result["passed"] = True
    push_models(run)


def push_models(run: Run) -> None:
    """Push what a run has trained, and register it."""
    made = run.folder.artifacts
    models = {model: made / model for model in MODELS}
    for model, path in models.items():
        write_json(path / CARD, {"dataset": "plays", "log": "tiny", "sha256": "0", "split": {}, "run_id": run.id})
        write_text(path / "saved_model.pb", f"{model} of {run.id}")
        prediction_log.write(made / "requests" / model, [prediction_log.predict_log(model, {"user": ["u1"]})])
    write_text(made / "reference" / "schema.pbtxt", "schema")
    write_text(made / "window", run.id)
    register.step(run, push.step(run, models, made / "requests", made / "reference", made / "window"))


def end_of_run(home: Home, run_id: str) -> Run:
    """Push and register models as a run that has trained them, and return the run."""
    run = Run(home, run_id, {"push": "canary"})
    write_json(run.folder.evaluation, evaluation(auc=0.6))
    push_models(run)
    return run
