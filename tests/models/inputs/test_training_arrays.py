"""The training arrays of retrieval and ranking."""

from datetime import timedelta

import numpy as np
import pytest

from models.inputs.axes import fit_axes
from models.inputs.encoder import Encoder
from models.inputs.recency import Recency
from models.inputs.training_arrays import example_weights, mask, ranking_arrays, retrieval_arrays
from segue.errors import InputError


@pytest.fixture(scope="module")
def table(make_table):
    """Two positives of a, one positive of b with an unknown label, and a row of c that is not positive."""
    return make_table(
        {"item_id": "a", "positive": True, "label_play": 1.0},
        {"item_id": "b", "positive": True, "label_play": None},
        {"item_id": "c", "positive": False, "age_at_request_days": None},
        {"item_id": "a", "positive": True, "label_like": 1.0},
    )


@pytest.fixture(scope="module")
def encoder(table, make_catalogue) -> Encoder:
    """The encoder of `table`; a, b, c have the rows 1, 2, 3."""
    return Encoder(fit_axes([table]), make_catalogue(*({"item_id": item} for item in "abc")))


def test_retrieval_learns_from_positives_only(table, encoder):
    arrays = retrieval_arrays(table, encoder, {"positive": 1.0})
    assert arrays["item"].tolist() == [1, 2, 1]
    assert arrays["weight"].tolist() == [1, 1, 1]
    assert {len(values) for values in arrays.values()} == {3}


def test_a_table_without_positives_gives_no_rows(table, encoder):
    arrays = retrieval_arrays(table.slice(2, 1), encoder, {"positive": 1.0})
    assert {len(values) for values in arrays.values()} == {0}


def test_an_example_has_the_sum_of_its_labels_weights(table, encoder):
    # Row 1 is positive and played, row 2 positive with an unknown play, row 3 not positive, row 4 positive and liked.
    weights = example_weights(table, {"positive": 1.0, "play": 0.5, "like": 2.0})
    assert weights.tolist() == [1.5, 1, 0, 3]
    arrays = retrieval_arrays(table, encoder, {"play": 0.5, "like": 2.0})
    assert (arrays["item"].tolist(), arrays["weight"].tolist()) == ([1, 1], [0.5, 2])


def test_an_unknown_label_is_refused_and_the_known_labels_are_listed(table):
    with pytest.raises(InputError, match=r"like, add\. Received loved, shared") as error:
        example_weights(table, {"positive": 1.0, "shared": 1.0, "loved": 1.0})
    assert "retrieval.positives" in error.value.fix


def test_ranking_learns_from_every_example(table, encoder):
    arrays = ranking_arrays(table, encoder)
    assert {len(values) for values in arrays.values()} == {4}
    assert arrays["label_play"].tolist() == [1, 0, 0, 0]
    assert arrays["label_like"].tolist() == [0, 0, 0, 1]


def test_unknown_labels_have_the_weight_0(table, encoder):
    arrays = ranking_arrays(table, encoder)
    assert arrays["weight_play"].tolist() == [1, 0, 1, 1]
    assert arrays["weight_like"].tolist() == mask(table, "like").tolist() == [1, 1, 1, 1]


def test_the_age_of_an_example_is_a_factor_of_its_weight(make_table, encoder, noon):
    old = {"ts": noon - timedelta(days=10), "positive": True, "label_like": 1.0}
    table, recency = make_table(old, {"positive": True, "label_like": None}), Recency(noon.timestamp(), 5)
    assert ranking_arrays(table, encoder, recency)["weight_like"].tolist() == [0.25, 0]
    weights = retrieval_arrays(table, encoder, {"positive": 1.0, "like": 2.0}, recency)["weight"]
    assert weights.tolist() == [0.75, 1]


def test_listening_seconds_have_their_own_mask(make_table, encoder):
    arrays = ranking_arrays(make_table({"label_listen": 3.5}, {"label_listen": None}), encoder)
    assert arrays["label_listen"].tolist() == [3.5, 0]
    assert arrays["weight_listen"].tolist() == [1, 0]


def test_an_unknown_position_is_zero(make_table, encoder):
    assert ranking_arrays(make_table({"position": 3}, {"position": None}), encoder)["position"].tolist() == [3, 0]


def test_an_unknown_age_is_flagged(table, encoder):
    assert ranking_arrays(table, encoder)["request"][:, 2].tolist() == [1, 1, 0, 1]


def test_ranking_arrays_hold_the_encoders_query_arrays(table, encoder):
    query, pairs = encoder.query_table(table), ranking_arrays(table, encoder)
    for name, value in query.items():
        np.testing.assert_array_equal(pairs[name], value)


def test_rows_of_one_request_share_their_query(make_table, encoder):
    rows = [
        {"event_id": "e1", "user_id": "u1", "request_id": "r1"},
        {"event_id": "e2", "user_id": "u1", "request_id": "r1"},
        {"event_id": "e3", "user_id": "u1", "request_id": "r1", "session_plays": 9.0},
        {"event_id": "e4", "user_id": "u2", "request_id": "r1"},
        {"event_id": "e5", "user_id": "u2", "request_id": None},
        {"event_id": "e6", "user_id": "u2", "request_id": None},
    ]
    query = ranking_arrays(make_table(*rows), encoder)["query"]
    assert query[0] == query[1]
    assert len(np.unique(query)) == 5
    # Queries of another table have other numbers.
    assert not set(query[:2]) & set(ranking_arrays(make_table(*rows[3:]), encoder)["query"])
