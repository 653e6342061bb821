"""Reading a training set's folder: its parts, its encoder, its lineage and its share of repeats."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from events.splits import Split
from models.inputs.recency import Recency
from models.training_config import TrainingConfig
from segue.files import write_json
from workloads.training_set import encoder_of, lineage, read_part, recency_of, repeat_share


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


def test_the_encoder_has_the_train_spans_vocabularies_and_the_newest_catalogue(training_set):
    encoder = encoder_of(training_set)
    assert encoder.axes.tokens["item_id"] == ["a", "b"]
    assert encoder.catalogue.ids.to_pylist() == ["a", "b", "c"]


def test_columns_and_rows_of_a_part_can_be_chosen(training_set):
    assert read_part(training_set, "train", ["item_id"]).to_pydict() == {"item_id": ["a", "a"]}
    assert read_part(training_set, "train", ["positive"], rows=1).to_pydict() == {"positive": [True]}


def test_the_age_of_an_example_counts_back_from_the_end_of_the_train_span(tmp_path):
    start = datetime(2026, 3, 1, tzinfo=UTC)
    train_end = start + timedelta(days=20)
    split = Split(start, train_end, start + timedelta(days=22), start + timedelta(days=24))
    write_json(tmp_path / "manifest.json", {"split": split.to_dict()})
    recency = recency_of(tmp_path, TrainingConfig(half_life_days=10))
    assert recency == Recency(train_end.timestamp(), 10)
    assert recency.weights(np.array([start.timestamp()])).tolist() == [0.25]


def test_lineage_is_json_and_says_where_a_model_came_from(tmp_path):
    manifest = {
        "dataset": "d",
        "sha256": "abc",
        "genres": ["pop"],
        "content_types": ["music"],
        "split": {"start": "2026-01-05"},
        "rows": {"train": 1},
    }
    write_json(tmp_path / "manifest.json", manifest)
    origin = json.loads(json.dumps(lineage(tmp_path, "run-1", TrainingConfig(seed=5))))
    assert (origin["dataset"], origin["sha256"], origin["run_id"]) == ("d", "abc", "run-1")
    assert origin["split"] == {"start": "2026-01-05"}
    assert (origin["genres"], origin["content_types"]) == (["pop"], ["music"])
    assert TrainingConfig.from_dict(origin["config"]).seed == 5
