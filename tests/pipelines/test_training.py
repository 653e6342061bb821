"""The whole life cycle on the nano world: import, train, serve, recommend, monitor."""

import pytest

from segue.files import read_json
from serving.store.model_store import labels
from serving.store.versions import verify

pytestmark = pytest.mark.slow


MODELS = ("retrieval", "ranking", "sequence")


def test_a_run_pushes_all_models_under_one_version(trained):
    assert labels(trained.home.models) == {model: {"stable": 1} for model in MODELS}
    assert all(verify(trained.home.models, model, 1) for model in MODELS)


def test_a_run_registers_champions_with_their_lineage(trained):
    import mlflow

    client = mlflow.MlflowClient(trained.home.own_tracking_uri)
    manifest = read_json(trained.home.data / "manifest.json")
    for model in MODELS:
        version = client.get_model_version_by_alias(f"segue-{model}", "champion")
        assert version.tags["dataset"] == "synthetic-nano"
        assert version.tags["sha256"] == manifest["sha256"]
        assert version.tags["store_version"] == "1"
        run = client.get_run(version.run_id)
        assert run.data.metrics["ranking.candidate.play.auc"] > 0.5


@pytest.fixture(scope="module")
def answer(trained):
    """The recommendations for two listeners."""
    return trained.json("recommend", "--user", "u00001", "--user", "u00002", "-k", "200")["recommendations"]


def test_recommendations_have_titles_and_are_ordered_by_reward(answer):
    for user in ("u00001", "u00002"):
        items = answer[user]
        assert len({item["item_id"] for item in items}) == len(items) > 5
        rewards = [item["reward"] for item in items]
        assert rewards == sorted(rewards, reverse=True)
        assert all(item["title"] and item["title"] != item["item_id"] for item in items)


def test_recommendations_come_from_all_sources(answer):
    items = answer["u00001"]
    assert {source for item in items for source in item["source"]} >= {"retrieval", "sequence"}
    for item in items:
        assert (item["sequence_score"] is None) == ("sequence" not in item["source"])


def test_an_evaluation_says_what_each_use_of_the_sequence_model_is_worth(trained):
    run = next(trained.home.runs.glob("training-*"))
    evaluation = read_json(run / "evaluation.json")
    assert set(evaluation["retrieval"]["models"]) == {"popularity", "candidate", "sequence"}
    assert set(evaluation["retrieval"]["sequence_as_a_source"]) == {"recall_at_100", "merged_recall_at_200"}
    assert read_json(run / "steps" / "train-ranking.json")["result"]["choice"]["lists"] > 0


def test_an_unknown_user_is_one_clear_line(trained):
    done = trained("recommend", "--user", "nobody")
    assert done.returncode == 2
    assert "'nobody' is not" in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


def test_monitoring_of_the_same_log_finds_no_drift_and_asks_for_nothing(branch, one_process):
    segue = branch()
    result = segue.json("run", "monitoring", env=one_process())
    assert result["steps"]["monitor"]["result"]["decision"]["action"] == "wait"
    assert result["status"] == "compared"
    assert result["steps"]["detect-drift"]["result"]["passed"] is True
    assert (segue.home.reports / "drift.html").stat().st_size > 10_000
    decision = segue.json("retrain", "--if-needed")
    assert decision["retrain"] is False
    verdict = segue.json("drift")
    assert verdict["passed"] is True
