"""Encoded training arrays, from the tables of a training set."""

import numpy as np
import pytest
import tensorflow as tf

from models.examples import age, mask, ranking_arrays, retrieval_arrays
from models.features import Encoder, fit_axes
from segue.errors import InputError


@pytest.fixture(scope="module")
def table(make_table):
    """Two positives of one item, one of another, and a row that is none; one label unknown."""
    return make_table(
        {"item_id": "a", "positive": True, "label_play": 1.0},
        {"item_id": "b", "positive": True, "label_play": None},
        {"item_id": "c", "positive": False, "age_at_request_days": None},
        {"item_id": "a", "positive": True, "label_like": 1.0},
    )


@pytest.fixture(scope="module")
def encoder(table) -> Encoder:
    """The encoder of `table`."""
    return Encoder(fit_axes(table))


def test_retrieval_learns_from_positives_alone(table, encoder):
    arrays = retrieval_arrays(table, encoder)
    item = encoder.lookups["item_id"]
    assert arrays["item_ids"][:, 0].tolist() == item(tf.constant(["a", "b", "a"])).numpy().tolist()


def test_sampling_probability_is_an_items_share_of_the_positives(table, encoder):
    assert retrieval_arrays(table, encoder)["sampling_probability"] == pytest.approx([2 / 3, 1 / 3, 2 / 3])


def test_a_part_without_a_positive_is_an_error(table, encoder):
    with pytest.raises(InputError, match="at least one positive in every part; 1 examples have none"):
        retrieval_arrays(table.slice(2, 1), encoder)


def test_ranking_learns_from_every_example(table, encoder):
    arrays = ranking_arrays(table, encoder)
    assert {len(values) for values in arrays.values()} == {4}
    assert arrays["label_play"].tolist() == [1, 0, 0, 0]
    assert arrays["label_like"].tolist() == [0, 0, 0, 1]


def test_unknown_labels_weigh_nothing(table, encoder):
    arrays = ranking_arrays(table, encoder)
    assert arrays["weight_play"].tolist() == [1, 0, 1, 1]
    assert arrays["weight_like"].tolist() == mask(table, "like").tolist() == [1, 1, 1, 1]


def test_an_unknown_age_is_marked(table, encoder):
    assert age(table).tolist() == [10, 10, -1, 10]
    assert ranking_arrays(table, encoder)["request"][:, 2].tolist() == [1, 1, 0, 1]


def test_both_speak_the_same_encoding(table, encoder):
    query, pairs = encoder.query_table(table), ranking_arrays(table, encoder)
    for name, value in query.items():
        np.testing.assert_array_equal(pairs[name], value)
