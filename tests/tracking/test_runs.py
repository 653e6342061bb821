"""Training runs and searches, as MLflow shows them."""

import pytest
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from tracking import runs
from tracking.runs import EXPERIMENT, SEARCHES, earlier_attempt, log_run, log_trial, text_tags


@pytest.fixture(scope="module")
def run(client, artifacts, report):
    """A recorded training run."""
    tags = {"status": "ok"}
    run_id = log_run(client, EXPERIMENT, artifacts, "training-1", {"epochs": 3}, {"auc": 0.75}, tags, [report])
    return client.get_run(run_id)


@pytest.fixture(scope="module")
def search(client, artifacts, report) -> str:
    """A search with one trial, which ended well."""
    trial = {"name": "trial-0", "params": {"dim": 32}, "history": {"loss": [3.0, 2.0]}, "metrics": {"recall": 0.5}}
    settings = {"trials": 1, "best.dim": 32}
    tags = {"reason": "done"}
    return log_run(client, SEARCHES, artifacts, "search-1", settings, {"recall": 0.5}, tags, [report], trials=[trial])


def test_tags_are_texts_of_bounded_length():
    tags = text_tags({"count": 3, "long": "x" * 6_000})
    assert (tags["count"], len(tags["long"])) == ("3", 5_000)


def test_a_run_shows_its_settings_figures_tags_and_reports(run, client):
    assert (run.info.run_name, run.info.status) == ("training-1", "FINISHED")
    assert (run.data.params, run.data.metrics) == ({"epochs": "3"}, {"auc": 0.75})
    assert run.data.tags["status"] == "ok"
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["evaluation.json"]


def test_a_second_run_joins_the_experiment_of_the_first(run, artifacts, client):
    second = client.get_run(log_run(client, EXPERIMENT, artifacts, "training-2", {}, {}, {}, []))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert run.info.experiment_id == second.info.experiment_id == experiment.experiment_id
    assert experiment.artifact_location == artifacts


def test_a_trial_is_nested_in_its_search_with_its_figures_by_epoch(search, client):
    experiment = client.get_experiment_by_name(SEARCHES)
    nested = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{search}'"
    (trial,) = client.search_runs([experiment.experiment_id], nested)
    assert (trial.info.run_name, trial.info.status) == ("trial-0", "FINISHED")
    assert (trial.data.params, trial.data.metrics) == ({"dim": "32"}, {"loss": 2.0, "recall": 0.5})
    losses = client.get_metric_history(trial.info.run_id, "loss")
    assert [(point.step, point.value) for point in losses] == [(1, 3.0), (2, 2.0)]


def test_a_search_shows_its_settings_and_its_best_trial(search, client):
    run = client.get_run(search)
    assert run.data.params == {"trials": "1", "best.dim": "32"}
    assert run.data.metrics == {"recall": 0.5}
    assert (run.info.status, run.data.tags["reason"]) == ("FINISHED", "done")
    assert [file.path for file in client.list_artifacts(search)] == ["evaluation.json"]


def test_a_failed_run_is_shown_as_failed(client, artifacts):
    failed = log_run(client, SEARCHES, artifacts, "search-2", {}, {}, {}, [], failed=True)
    assert client.get_run(failed).info.status == "FAILED"


def test_a_whole_attempt_is_found_and_one_that_was_cut_off_is_deleted_with_its_trials(client, artifacts, monkeypatch):
    def attempt(number: int) -> str:
        trial = {"name": f"{number}-trial", "params": {}, "history": {}, "metrics": {}}
        return log_run(client, SEARCHES, artifacts, "tried", {}, {}, {"run_id": "a"}, [], trials=[trial])

    def cut_off(number: int, name: str, fail) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(runs, name, fail)
            with pytest.raises(ConnectionError):
                attempt(number)

    cut_off(1, "log_values", _fail)
    cut_off(2, "log_trial", lambda *given, **named: (log_trial(*given, **named), _fail()))
    whole = attempt(3)
    assert earlier_attempt(client, SEARCHES, "tried", {"run_id": "a"}) == whole
    assert earlier_attempt(client, SEARCHES, "tried", {"run_id": "b"}) is None
    assert earlier_attempt(client, "no such experiment", "tried", {}) is None
    experiment = client.get_experiment_by_name(SEARCHES)
    names = [each.info.run_name for each in client.search_runs([experiment.experiment_id])]
    assert sorted({"tried", "1-trial", "2-trial", "3-trial"} & set(names)) == ["3-trial", "tried"]
    assert names.count("tried") == 1


def _fail(*_):
    raise ConnectionError("reset by peer")
