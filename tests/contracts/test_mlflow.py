"""MLflow's tracking and model registry on SQLite."""

import pytest


@pytest.mark.slow
def test_a_run_is_tracked_and_an_alias_moves_between_versions(tmp_path):
    """If this fails, runs are not recorded, or the registry cannot tell which version is the champion."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.create_experiment("training", artifact_location=str(tmp_path / "artifacts"))
    run = client.create_run(experiment).info.run_id
    client.log_param(run, "epochs", 3)
    client.log_metric(run, "recall_at_100", 0.25, step=1)
    data = client.get_run(run).data
    assert (data.params, data.metrics) == ({"epochs": "3"}, {"recall_at_100": 0.25})

    client.create_registered_model("ranking")
    source = str(tmp_path / "model")
    first, second = (client.create_model_version("ranking", source, run).version for _ in range(2))
    client.set_registered_model_alias("ranking", "champion", first)
    client.set_registered_model_alias("ranking", "champion", second)
    champion = client.get_model_version_by_alias("ranking", "champion")
    assert (champion.version, champion.run_id) == (second, run)
    assert client.get_model_version("ranking", first).aliases == []
