"""The end of a search: the chosen trial, the written files, and the record in MLflow."""

from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from models.training_config import TrainingConfig, load
from segue.errors import InputError
from segue.files import read_json
from segue.settings import Home
from tracking.runs import SEARCHES
from workloads import report
from workloads.run import Run
from workloads.search import choose_trial

CONFIG = TrainingConfig.from_dict({"search": {"trials": 2, "space": {"dim": [32, 64]}}}).to_dict()
TRIALS = {0: (64, 0.25), 1: (32, 0.5)}  # dim and objective of each trial


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Home:
    """A home with one search that ended well (`good`) and one with a failed trial (`bad`)."""
    home, trials = Home(tmp_path_factory.mktemp("home")), []
    for run_id in ("good", "bad"):
        with Run(home, run_id, {}).step("plan_trials"):
            pass
    for number, (dim, figure) in TRIALS.items():
        judgement = {"metric": "recall_at_100", "objective": figure}
        with Run(home, "good", {}).step("trial", number) as result:
            result.update(judgement, values={"dim": dim}, history={"loss": [3.0, 2.0], "val_loss": [3.5, 2.5]})
        # Numbers in a pipeline's parameters arrive as floats.
        trials.append({"trial": float(number), "values": {"dim": float(dim)}, **judgement})
    choose_trial.step(Run(home, "good", CONFIG), trials)
    report.step(Run(home, "good", CONFIG))

    with pytest.raises(InputError), Run(home, "bad", {}).step("trial", 0):
        raise InputError("Too wide.", "Narrow it.")
    report.step(Run(home, "bad", CONFIG))
    return home


@pytest.fixture(scope="module")
def client(searched) -> mlflow.MlflowClient:
    """A client of the home's tracking database."""
    return mlflow.MlflowClient(searched.own_tracking_uri)


def runs(client: mlflow.MlflowClient, parent: str | None) -> dict[str, mlflow.entities.Run]:
    """Return the runs of the searches' experiment that are nested in `parent`, by name; None for no parent."""
    experiment = client.get_experiment_by_name(SEARCHES)
    assert experiment is not None
    recorded = client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run for run in recorded if run.data.tags.get(MLFLOW_PARENT_RUN_ID) == parent}


def test_the_run_says_what_was_tried_and_what_is_best(searched):
    search = read_json(searched.run("good").search)
    assert [(trial["trial"], trial["values"], trial["objective"]) for trial in search["trials"]] == [
        (0, {"dim": 64}, 0.25),
        (1, {"dim": 32}, 0.5),
    ]
    assert search["best"] == search["trials"][1]


def test_the_best_trials_configuration_can_be_trained_with(searched):
    path: Path = searched.run("good").best_configuration
    assert load(path).retrieval.dim == 32
    assert yaml.safe_load(path.read_text())["retrieval"]["dim"] == 32


def test_trials_are_nested_in_their_search(searched, client):
    assert set(runs(client, None)) == {"good", "bad"}
    search = runs(client, None)["good"].info.run_id
    assert set(runs(client, search)) == {"good-trial-0", "good-trial-1"}


def test_a_trial_shows_its_settings_its_objective_and_its_epochs(searched, client):
    trial = runs(client, runs(client, None)["good"].info.run_id)["good-trial-1"]
    assert trial.data.params == {"dim": "32"}
    assert trial.data.metrics["recall_at_100"] == 0.5
    points = client.get_metric_history(trial.info.run_id, "val_loss")
    assert [(point.step, point.value) for point in points] == [(1, 3.5), (2, 2.5)]
    assert trial.info.status == "FINISHED"


def test_a_search_shows_its_best_trial(searched, client):
    search = runs(client, None)["good"]
    assert search.data.params["best.dim"] == "32"
    assert search.data.metrics == {"recall_at_100": 0.5}
    assert search.info.status == "FINISHED"
    assert {file.path for file in client.list_artifacts(search.info.run_id)} == {"search.json", "best.yaml"}


def test_a_search_with_a_failed_trial_has_failed(client):
    search = runs(client, None)["bad"]
    assert search.info.status == "FAILED"
    assert search.data.tags["reason"] == "trial-0: Too wide."
