"""What a workload adds to the steps that it calls."""

import json

import pyarrow.parquet as pq
import pytest

from models.config import TrainingConfig
from models.export import CARD
from models.workloads import lineage, repeat_share, sample_requests, served_champion
from segue.files import write_json


@pytest.mark.parametrize(
    ("rows", "share"),
    [
        pytest.param([{"item_id": "a", "history_items": ["b", "a", "a"]}], 1.0, id="heard before"),
        pytest.param([{"item_id": "a", "history_items": ["b"]}], 0.0, id="not heard before"),
        pytest.param([{"item_id": "a", "history_items": []}], 0.0, id="nothing heard before"),
        pytest.param(
            [{"item_id": "a", "history_items": ["a"]}, {"item_id": "b", "history_items": ["a"]}], 0.5, id="one of two"
        ),
        pytest.param([{"item_id": "a", "history_items": ["a"], "positive": False}], 0.0, id="no positive"),
    ],
)
def test_the_share_of_repeats_is_of_the_positives(make_table, rows, share):
    assert repeat_share(make_table(*({"positive": True} | row for row in rows))) == share


def card(folder, name: str, dataset: str):
    """A folder that only has a model's card."""
    write_json(folder / name / CARD, {"dataset": dataset})
    return folder / name


@pytest.mark.parametrize(
    ("served", "compares"),
    [
        pytest.param({"retrieval": "ours", "ranking": "ours"}, True, id="of the same data set"),
        pytest.param({"retrieval": "ours", "ranking": "other"}, False, id="one is of another"),
        pytest.param({"retrieval": "other", "ranking": "other"}, False, id="both are of another"),
        pytest.param({"retrieval": "ours"}, False, id="only one is served"),
        pytest.param({}, False, id="nothing is served"),
    ],
)
def test_only_models_of_the_same_data_set_compare(tmp_path, served, compares):
    paths = {name: card(tmp_path / "served", name, dataset) for name, dataset in served.items()}
    champion = served_champion(paths, card(tmp_path, "candidate", "ours"))
    assert champion == (paths if compares else None)


def test_lineage_is_json_and_says_where_a_model_came_from(tmp_path):
    manifest = {"dataset": "d", "sha256": "abc", "split": {"start": "2026-01-05"}, "rows": {"train": 1}}
    write_json(tmp_path / "manifest.json", manifest)
    found = json.loads(json.dumps(lineage(tmp_path, "run-1", TrainingConfig(seed=5))))
    assert (found["dataset"], found["sha256"], found["run_id"]) == ("d", "abc", "run-1")
    assert found["split"] == {"start": "2026-01-05"}
    assert TrainingConfig.from_dict(found["config"]).seed == 5


def test_requests_fit_the_signatures(
    world, saved_retrieval, saved_ranking, retrieval_signatures, ranking_signatures, tmp_path
):
    from models.export import call

    pq.write_table(world.test, tmp_path / "test.parquet")
    pq.write_table(world.items, tmp_path / "items_now.parquet")
    paths = {"retrieval": saved_retrieval, "ranking": saved_ranking}
    requests = sample_requests(tmp_path, paths, count=3, seed=0)
    assert {name: len(r) for name, r in requests.items()} == {"retrieval": 3, "ranking": 3}
    assert call(retrieval_signatures["serving_default"], requests["retrieval"][0])["scores"].shape == (1, 20)
    assert call(ranking_signatures["serving_default"], requests["ranking"][0])["reward"].shape == (1, 20)
    known = set(world.items["item_id"].to_pylist())
    assert set(requests["ranking"][0]["candidate_ids"][0]) <= known
