"""A search from end to end on the nano world: one run in MLflow, and nested in it a run for each trial."""

from pathlib import Path

import pytest
import yaml

from models.training_config import load
from segue.files import read_json
from tests.support.nano_loop import NANO_CONFIG, Segue

pytestmark = pytest.mark.slow

SPACE = {"learning_rate": [0.0005, 0.02], "dim": [16, 32]}


@pytest.fixture(scope="module")
def segue(tmp_path_factory) -> Segue:
    """A home with the nano world, and nothing trained on it."""
    segue = Segue(tmp_path_factory.mktemp("home"))
    segue.json("data", "import", "synthetic", "--size", "nano", "--seed", "0")
    return segue


def test_a_search_ends_with_a_configuration_to_train_with(segue, one_process, tmp_path):
    values = yaml.safe_load(NANO_CONFIG.read_text())
    values["retrieval"]["epochs"] = 1
    config = tmp_path / "search.yaml"
    config.write_text(yaml.safe_dump({**values, "search": {"space": SPACE}}))
    result = segue.json("run", "search", "--config", str(config), "--trials", "2", env=one_process())

    search, run = result["search"], Path(result["folder"])
    assert search == read_json(run / "search.json")
    assert search["metric"] == "recall_at_100"
    configured = load(config).retrieval
    first, second = search["trials"]
    assert first["values"] == {"learning_rate": configured.learning_rate, "dim": configured.dim}
    assert second["values"] != first["values"]
    # A list of 100 holds most of the 150 items.
    assert all(0.5 < trial["objective"] <= 1 for trial in search["trials"])
    assert search["best"]["objective"] == max(trial["objective"] for trial in search["trials"])

    best = load(run / "best.yaml")
    assert best.retrieval.dim == search["best"]["values"]["dim"]
    assert best.retrieval.learning_rate == search["best"]["values"]["learning_rate"]
    assert (best.retrieval.batch_size, best.ranking) == (configured.batch_size, load(config).ranking)
    assert not segue.home.models.exists()  # nothing is pushed

    import mlflow
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    client = mlflow.MlflowClient(segue.home.own_tracking_uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    (parent,) = (r for r in runs if MLFLOW_PARENT_RUN_ID not in r.data.tags)
    children = {r.info.run_name: r for r in runs if r is not parent}
    assert {r.data.tags[MLFLOW_PARENT_RUN_ID] for r in children.values()} == {parent.info.run_id}
    assert set(children) == {f"{result['run']}-trial-{trial['trial']}" for trial in search["trials"]}
    for trial in search["trials"]:
        child = children[f"{result['run']}-trial-{trial['trial']}"]
        assert child.data.metrics["recall_at_100"] == trial["objective"]
        assert len(client.get_metric_history(child.info.run_id, "val_loss")) == 1
    assert parent.data.metrics["recall_at_100"] == search["best"]["objective"]


def test_a_space_that_cannot_be_searched_is_said_before_anything_runs(segue, tmp_path):
    config = tmp_path / "search.yaml"
    config.write_text("search: {space: {width: [1, 2]}}\n")
    before = set(segue.home.runs.glob("*"))
    done = segue("run", "search", "--config", str(config))
    assert done.returncode == 2
    assert "'search.space.width'" in done.stderr
    assert "dim, batch_size" in done.stderr
    assert set(segue.home.runs.glob("*")) == before
