"""The encoding of model inputs, which training, evaluation and serving share."""

from datetime import timedelta

import numpy as np
import pytest
import tensorflow as tf

from models.inputs.axes import AXES_COLUMNS, Axes, fit_axes
from models.inputs.encoder import Encoder, request_dense
from models.inputs.feature_names import (
    AGE_COLUMNS,
    ITEM_STATS,
    QUERY_NUMBERS,
    USER_COUNTS,
    USER_RATES,
    USER_STRINGS,
    USER_VECTORS,
)
from models.inputs.raw_query import raw_item, raw_query

HOUR = 3600


@pytest.fixture(scope="module")
def train(make_table):
    """Two rows from which vocabularies are fitted."""
    return make_table(
        {"item_id": "b", "history_items": ["z", "a"], "country": "SE", "surface": "home"},
        {"item_id": "a", "history_items": [], "country": None, "surface": "", "plan": "family"},
    )


@pytest.fixture(scope="module")
def encoder(train, make_catalogue):
    """The encoder of `train` with a catalogue of `a`, `b`, `z` and an item that training never saw."""
    items = make_catalogue(*({"item_id": item} for item in ("a", "b", "z", "new")))
    return Encoder(fit_axes([train]), items)


@pytest.fixture(scope="module")
def awkward(make_table, noon):
    """Rows with nulls and unknown values, and histories from empty to full."""
    now = int(noon.timestamp())
    nulls = dict.fromkeys((*USER_STRINGS, *USER_COUNTS, *USER_RATES, *USER_VECTORS, *ITEM_STATS))

    def history(*items: str | None) -> dict:
        times = [now - HOUR * age for age in range(len(items), 0, -1)]
        return {"history_items": list(items), "history_actions": ["play"] * len(items), "history_times": times}

    return make_table(
        nulls | {"surface": None},
        history("a", "unknown", "z") | {"item_id": "never seen", "country": "??"},
        history(*(f"i{n}" for n in range(50))),
        {"genre_weights": [0.0, 1.0], "session_plays": 3.0, "ts": noon + timedelta(microseconds=999_999)},
    )


def test_vocabularies_are_sorted_and_without_empty_values(train):
    tokens = fit_axes([train]).tokens
    assert tokens["country"] == ["SE"]
    assert tokens["surface"] == ["home"]
    assert tokens["plan"] == ["family", "free"]


def test_items_of_histories_join_the_vocabulary(train):
    assert fit_axes([train]).tokens["item_id"] == ["a", "b", "z"]


def test_all_chunks_add_to_one_vocabulary(train):
    assert fit_axes(train.slice(n, 1) for n in range(2)) == fit_axes([train])


def test_widths_come_from_any_chunk_that_has_vectors(make_table):
    wide = {"genre_weights": [0.1] * 3, "content_type_shares": [0.5, 0.5]}
    chunks = [make_table({"genre_weights": None, "content_type_shares": None}), make_table(wide), make_table({})]
    axes = fit_axes(chunks)
    assert (axes.genres, axes.content_types) == (3, 2)


def test_vocabularies_need_no_other_columns_than_those_of_the_axes(train):
    assert fit_axes([train.select(AXES_COLUMNS)]) == fit_axes([train])


def test_the_vocabulary_of_actions_does_not_depend_on_the_log(train):
    assert fit_axes([train]).tokens["action"] == ["play", "skip", "like", "add"]


def test_axes_can_be_rebuilt_from_json(train):
    axes = fit_axes([train])
    assert Axes(**axes.to_dict()) == axes


def test_a_slice_of_a_table_is_encoded_as_the_same_rows_of_the_table(encoder, awkward):
    # A slice shares the offsets of the whole column.
    whole, part = encoder.query_table(awkward), encoder.query_table(awkward.slice(1, 2))
    for name, value in part.items():
        np.testing.assert_allclose(value, whole[name][1:3], rtol=1e-6, err_msg=name)


def test_tables_and_raw_inputs_are_encoded_alike(encoder, awkward):
    in_graph = encoder.encode_query({n: tf.constant(v) for n, v in raw_query(awkward, encoder.axes).items()})
    in_graph |= encoder.encode_item({n: tf.constant(v) for n, v in raw_item(awkward).items()})
    by_table = encoder.query_table(awkward) | encoder.item_table(awkward)
    assert in_graph.keys() == by_table.keys()
    for name, value in by_table.items():
        assert value.dtype == in_graph[name].numpy().dtype, name
        np.testing.assert_allclose(value, in_graph[name].numpy(), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, -3.0], ids=str)
@pytest.mark.parametrize("name", [*QUERY_NUMBERS, *USER_VECTORS])
def test_a_listeners_number_that_cannot_be_counts_as_unknown(encoder, awkward, name, broken):
    encoded = []
    for value in (broken, 0.0):
        raw = {n: np.copy(v) for n, v in raw_query(awkward, encoder.axes).items()}
        raw[name][..., 0] = value
        encoded.append(encoder.encode_query({n: tf.constant(v) for n, v in raw.items()}))
    for key, values in encoded[0].items():
        np.testing.assert_array_equal(values, encoded[1][key], err_msg=key)


def test_a_history_is_encoded_most_recent_first_and_padded(encoder, awkward):
    encoded = encoder.query_table(awkward)
    action = encoder.lookups["action"]
    # The rows of z and a in the catalogue are 3 and 1. The unknown item has row 0 and keeps its place.
    assert encoded["history"][1].tolist() == [3, 0, 1, *[0] * 47]
    assert encoded["history_action"][1, :4].tolist() == [*[int(action(tf.constant("play")))] * 3, 0]
    # One and three hours ago, in log(1 + hours). Places without an entry or with an unknown item are 0.
    assert encoded["history_age"][1, :4] == pytest.approx(np.log1p([1, 0, 3, 0]))


def test_items_are_rows_of_the_catalogue_whether_training_saw_them_or_not(encoder, make_table):
    rows = encoder.item_table(make_table({"item_id": "z"}, {"item_id": "new"}, {"item_id": "unknown"}))["item"]
    assert rows.tolist() == [3, 4, 0]


def test_float_inputs_of_a_listener(encoder, awkward, make_table):
    row = encoder.query_table(make_table({"user_plays_7d": 3.0, "user_plays_28d": 7.0}))["user_dense"][0]
    # log(1 + plays), rates, genre and type shares as they are; without a history the log hours count as 8.
    assert row == pytest.approx([np.log(4), np.log(8), 0.1, 0.2, 0.5, 0.5, 1.0, 1.0])
    assert encoder.query_table(awkward)["user_dense"][1, -1] == pytest.approx(np.log(2) / 8)  # an hour ago


@pytest.mark.parametrize(
    ("age", "encoded"),
    [
        pytest.param(np.e - 1, [1 / 8, 1.0], id="log(1 + days) / 8"),
        pytest.param(0.0, [0.0, 1.0], id="released now"),
        pytest.param(None, [0.0, 0.0], id="unknown"),
    ],
)
def test_statistics_of_an_item(encoder, make_table, age, encoded):
    table = make_table(
        {"item_plays_7d": 3.0, "item_plays_28d": 7.0, "item_trend": 2.0, "age_at_request_days": age},
    )
    row = encoder.item_table(table)["item_stats"][0]
    assert row == pytest.approx([np.log(4), np.log(8), 0.2, 0.1, 2.0, *encoded])
    assert row[AGE_COLUMNS:] == pytest.approx(encoded)


def test_the_stated_widths_are_those_of_the_encoded_floats(encoder, awkward):
    assert encoder.query_table(awkward)["user_dense"].shape == (4, encoder.user_width)
    assert encoder.item_table(awkward)["item_stats"].shape == (4, encoder.stats_width)


def test_an_entry_after_the_request_counts_as_now(encoder, make_table, noon):
    later = int(noon.timestamp()) + HOUR
    table = make_table({"history_items": ["a"], "history_actions": ["play"], "history_times": [later]})
    assert encoder.query_table(table)["history_age"][0, 0] == 0


@pytest.mark.parametrize(
    ("age", "encoded"),
    [
        pytest.param(0.0, [0.3, 0.0, 1.0], id="released now"),
        pytest.param(np.e - 1, [0.3, 1 / 8, 1.0], id="log(1 + age) / 8"),
        pytest.param(-1.0, [0.3, 0.0, 0.0], id="unknown"),
    ],
)
def test_the_features_of_a_listener_and_an_item_together(age, encoded):
    row = request_dense(tf.constant([0.3]), tf.constant([age], tf.float32))
    assert row.numpy()[0] == pytest.approx(encoded)
