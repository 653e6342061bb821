"""The rules of training retrieval that hold before a model is trained."""

import pyarrow.parquet as pq
import pytest

from models.training_config import TrainingConfig
from segue.errors import InputError
from workloads.training.train_retrieval import played_negatives, train_retrieval
from workloads.training_set import encoder_of


def test_items_that_nobody_played_are_no_negatives(training_set):
    negatives = played_negatives(training_set, encoder_of(training_set))
    assert negatives["item_id"].to_pylist() == ["a", "b", "a", "b"]


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_without_a_positive_is_an_error(training_set, tmp_path, make_table, part):
    pq.write_table(make_table({"item_id": "a", "positive": False}), training_set / f"{part}.parquet")
    with pytest.raises(InputError, match=f"at least one positive in every part; the {part} part has none"):
        train_retrieval(training_set, "run-1", TrainingConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
