"""A store that is killed while a step uses it: a named error soon, exit code 75, nothing half, a clean rerun.

    store                          steps that use it            tried in
    object store                   each                         test_cut_off_steps.py; some of them here, by SIGKILL
    online store (Redis)           refresh-online               here
    journal (the same Redis)       ingest                       test_ingest.py
    roll-outs (the same Redis)     push, monitor                the first here
    registry (PostgreSQL)          refresh-online               here
    MLflow (PostgreSQL), no 75:    register, report             here
    the record waits for a rerun

That no other step uses the last five is shown by `tests/pipelines/test_cluster_profile.py`, where each other step gets
addresses at which nothing listens. `segue retrain` decides by the object store, and asks for MLflow before it runs.
"""

import os
import signal
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cli.monitor import retrain
from models.saved.card import CARD
from models.training_config import TrainingConfig
from monitoring import state_file
from monitoring.retraining import Decision
from segue.errors import UnavailableError
from segue.files import read_json, write_json
from segue.settings import Home
from serving.protocol import prediction_log
from serving.rollouts.kept_state import RedisState
from serving.store.model_store import labels
from serving.store.model_store import push as push_models
from stores import online_store, parts, records, trees
from stores.s3 import Bucket
from stores.settings import settings
from tests.support.soon import soon
from tests.workloads.conftest import fails_at_once
from tracking import client, outbox, runs
from tracking.address import tracking_uri
from tracking.registry import registered_name
from tracking.runs import SEARCHES
from workloads import ingest, push, refresh_online, register, report
from workloads.monitoring import decide
from workloads.run import Run
from workloads.search import choose_trial
from workloads.training_set import MODELS

pytestmark = pytest.mark.slow

NO_FIGURES = {
    "retrieval": {"models": {}, "recall_at_100_over_popularity": {}, "sequence_as_a_source": {}},
    "ranking": {},
    "calibration": {},
}


@pytest.mark.parametrize(("owner", "name"), [(trees, "current"), (Bucket, "get_file")])
def test_ingest_without_the_object_store(run, log, objects, dies, tmp_path, owner, name):
    parts.change(log, parts.DATA, lambda: None)  # publishes what is there
    out = tmp_path / "ingested"
    revive = dies(objects, owner, name)
    fails_at_once(lambda: ingest.step(run, out), "object store", run)
    assert not out.exists()
    assert not list(run.home.root.rglob("*.parquet"))
    revive()
    assert ingest.step(Run(Home(tmp_path / "again"), "r1", {}), out)["dataset"] == "synthetic-nano"


@pytest.mark.parametrize(
    ("server", "part", "name"),
    [
        ("valkey", "online store", "materialize"),
        ("valkey", "online store", "push"),
        ("valkey", "online store", "entity_keys"),  # all is built, and nothing moved
        ("postgres", "registry", "apply"),
    ],
)
def test_a_refresh_without_a_server(run, log, dies, request, tmp_path, server, part, name):
    from feast import FeatureStore

    from feature_repo.storage import cluster as content

    owner = content if hasattr(content, name) else FeatureStore
    revive = dies(request.getfixturevalue(server), owner, name)
    fails_at_once(lambda: refresh_online.step(run, log.root / "ingested", log.root / "tables"), part, run)
    revive()
    client = online_store.connect(settings())
    assert client.get("segue:online") is None  # nothing half is online
    refresh_online.step(Run(Home(tmp_path / "again"), "r1", {}), log.root / "ingested", log.root / "tables")
    assert client.get("segue:online")


def saved_models(folder: Path) -> dict[str, Path]:
    """The models of a run, each a card and a file."""
    models = {model: folder / "models" / model for model in MODELS}
    for model, path in models.items():
        write_json(path / CARD, {"dataset": "plays", "log": "tiny", "sha256": "abc", "split": {}, "run_id": "r1"})
        (path / "saved_model.pb").write_bytes(model.encode())
    return models


@pytest.fixture
def inputs(tmp_path) -> dict:
    """The artifacts of a run's earlier steps: models, requests, a reference and a window."""
    models = saved_models(tmp_path)
    for model in models:
        prediction_log.write(tmp_path / "requests" / model, [prediction_log.predict_log(model, {"user": ["u1"]})])
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "schema.pbtxt").write_text("schema")
    pd.DataFrame({"prediction_play": [0.25, 0.5]}).to_parquet(tmp_path / "window.parquet")
    files = {name: tmp_path / name for name in ("requests", "reference")}
    return {"models": models, **files, "window": tmp_path / "window.parquet"}


@pytest.mark.parametrize(("name", "call"), [("put_file", 1), ("put_file", 4), ("put", 1)])
def test_a_push_without_the_object_store(run, inputs, objects, dies, tmp_path, name, call):
    revive = dies(objects, Bucket, name, call)
    fails_at_once(lambda: push.step(run, **inputs), "object store", run)
    revive()
    seen = Home(tmp_path / "seen")
    parts.bring(seen, parts.MODELS)
    assert labels(seen.models) == {}  # no half push
    again = Run(Home(tmp_path / "again"), "r1", {})
    assert push.step(again, **inputs) == 1
    parts.bring(seen, parts.MODELS)
    assert labels(seen.models) == {model: {"stable": 1} for model in MODELS}


def test_a_push_that_cannot_ask_whether_a_roll_out_runs(run, inputs, valkey, dies, tmp_path):
    assert push.step(Run(Home(tmp_path / "first"), "r0", {}), **inputs) == 1  # so that something is stable
    revive = dies(valkey, RedisState, "split")
    fails_at_once(lambda: push.step(run, **inputs), "online store", run)
    revive()
    assert push.step(Run(Home(tmp_path / "again"), "r2", {}), **inputs) == 2


def test_a_push_that_loses_the_store_before_the_models_is_completed_and_not_repeated(
    run, inputs, objects, dies, tmp_path
):
    """If this fails, a repeated step makes a second version of the same models, and `rollback` leads to the first."""
    revive = dies(objects, Bucket, "put", 3)  # the first two puts name the references, the third the models
    fails_at_once(lambda: push.step(run, **inputs), "object store", run)
    revive()
    seen = Home(tmp_path / "seen")
    parts.bring(seen, parts.MODELS, parts.BASELINES, parts.REPORTS)
    assert labels(seen.models) == {}
    assert seen.reference("r1").is_file()
    assert list(seen.baselines.rglob("schema.pbtxt"))
    for attempt in ("again", "once more"):
        assert push.step(Run(Home(tmp_path / attempt), "r1", {}), **inputs) == 1
    parts.bring(seen, parts.MODELS)
    assert labels(seen.models) == {model: {"stable": 1} for model in MODELS}
    assert push.step(Run(Home(tmp_path / "another"), "r2", {}), **inputs) == 2


def recorded(home: Home) -> str:
    """Keep the figures of a run that MLflow does not have, and return its id."""
    run = home.run(f"r-{uuid.uuid4()}")
    write_json(run.evaluation, NO_FIGURES)
    records.keep(run, {})
    return run.path.name


@pytest.mark.parametrize(
    ("server", "owner", "name"),
    [
        ("postgres", client, "require_answer"),
        ("postgres", outbox, "log_run"),
        ("postgres", outbox, "register"),
    ],
)
def test_the_record_of_a_pushed_run_does_not_wait_for_mlflow(run, request, dies, tmp_path, server, owner, name):
    """MLflow dies before, while or after it takes the run."""
    parts.change(run.home, parts.MODELS, lambda: push_models(run.home.models, saved_models(tmp_path)))
    run_id = recorded(run.home)
    revive = dies(request.getfixturevalue(server), owner, name)
    step = Run(Home(tmp_path / "register"), run_id, {})
    with soon():
        register.step(step, 1)
    revive()
    register.step(Run(Home(tmp_path / "again"), run_id, {}), 1)
    seen = Home(tmp_path / "seen")
    records.bring(seen.run(run_id))
    assert set(read_json(seen.run(run_id).steps / "register.json")["result"]["versions"]) == set(MODELS)
    assert not seen.run(run_id).unsent.exists()


def test_a_record_that_mlflow_took_before_the_object_store_died_is_kept_once(run, objects, dies, tmp_path):
    """If this fails, a repeated step registers the same models twice."""
    parts.change(run.home, parts.MODELS, lambda: push_models(run.home.models, saved_models(tmp_path)))
    run_id = recorded(run.home)
    revive = dies(objects, records, "drop_sent")
    step = Run(Home(tmp_path / "register"), run_id, {})
    fails_at_once(lambda: register.step(step, 1), "object store", step)
    revive()
    mlflow = client.connect(tracking_uri(run.home))
    before = {name: len(mlflow.search_model_versions(f"name = '{registered_name(name)}'")) for name in MODELS}
    again = Run(Home(tmp_path / "again"), run_id, {})
    register.step(again, 1)
    assert {name: len(mlflow.search_model_versions(f"name = '{registered_name(name)}'")) for name in MODELS} == before
    assert set(read_json(again.folder.steps / "register.json")["result"]["versions"]) == set(MODELS)


@pytest.mark.parametrize("name", ["log_run", "register"])
def test_a_register_without_the_object_store(run, objects, dies, tmp_path, name):
    """MLflow keeps its files there too; the step's own record is what the run cannot do without."""
    parts.change(run.home, parts.MODELS, lambda: push_models(run.home.models, saved_models(tmp_path)))
    run_id = recorded(run.home)
    revive = dies(objects, outbox, name)
    step = Run(Home(tmp_path / "register"), run_id, {})
    fails_at_once(lambda: register.step(step, 1), "object store", step)
    revive()
    again = Run(Home(tmp_path / "again"), run_id, {})
    register.step(again, 1)
    assert set(read_json(again.folder.steps / "register.json")["result"]["versions"]) == set(MODELS)


def test_a_report_does_not_wait_for_mlflow(run, postgres, tmp_path):
    """The verdict stands, and the record waits in the object store for the next run."""
    os.kill(postgres.pid, signal.SIGKILL)
    try:
        with soon():
            report.step(run)
    finally:
        postgres.start()
    other = Home(tmp_path / "other")
    records.bring_unsent(other)
    assert "does not answer" in read_json(other.run("r1").unsent)["not_tracked"]
    report.step(Run(other, "r2", {}))
    assert not other.run("r1").unsent.exists()


@pytest.mark.parametrize(("owner", "name"), [(client, "require_answer"), (outbox, "log_run"), (runs, "log_trial")])
def test_the_report_of_a_search_does_not_wait_for_mlflow(run, postgres, dies, tmp_path, owner, name):
    """MLflow dies before it takes the search, while it does, or between the search and its trials."""
    trial = {"trial": 0, "values": {"dim": 8}, "metric": "recall_at_100", "objective": 0.5}
    config = TrainingConfig.from_dict({"search": {"space": {"dim": [8, 16]}}}).to_dict()
    planned = Run(run.home, f"search-{name}", config)
    for step, result in (("plan-trials", {"trials": 1}), ("trial-0", trial | {"history": {"loss": [2.0, 1.0]}})):
        record = {"step": step, "status": "done", "started": 0, "result": result}
        write_json(planned.folder.steps / f"{step}.json", record)
    records.keep(planned.folder, {})
    choose_trial.step(planned, [trial])
    revive = dies(postgres, owner, name)
    with soon():
        report.step(planned)
    revive()
    assert read_json(planned.folder.report)["status"] == "searched"
    report.step(Run(Home(tmp_path / "again"), planned.id, config))
    mlflow = client.connect(tracking_uri(run.home))
    (experiment,) = mlflow.search_experiments(filter_string=f"name = '{SEARCHES}'")
    names = [each.info.run_name for each in mlflow.search_runs([experiment.experiment_id])]
    assert sorted(each for each in names if each.startswith(planned.id)) == [planned.id, f"{planned.id}-trial-0"]


@pytest.mark.parametrize(
    ("server", "owner", "name", "part"),
    [
        ("objects", trees, "current", "object store"),
        ("objects", Bucket, "get_file", "object store"),
        ("postgres", decide, "read", "MLflow"),
    ],
)
def test_a_decision_to_retrain_without_a_store(
    run, log, dies, request, monkeypatch, tmp_path, server, owner, name, part
):
    retraining = state_file.State().decided(Decision(datetime(2026, 3, 1, tzinfo=UTC), "retrain", "It drifted."))
    parts.change(log, parts.DATA, lambda: None)  # publishes what is there
    parts.change(run.home, parts.REPORTS, lambda: write_json(run.home.retraining, retraining.to_dict()))
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "decides"))
    dies(request.getfixturevalue(server), owner, name)
    with soon():
        error = CliRunner().invoke(retrain, ["--if-needed"]).exception
    assert isinstance(error, UnavailableError), error
    assert (part in error.headline, bool(error.fix)) == (True, True), error
    assert not Home.from_env().runs.exists()
