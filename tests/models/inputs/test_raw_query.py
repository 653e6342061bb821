"""The raw inputs that signatures take."""

import numpy as np
import pytest

from models.inputs.axes import Axes, fit_axes
from models.inputs.raw_query import in_batches, raw_item, raw_query
from models.inputs.signature_specs import item_specs, query_specs


@pytest.fixture(scope="module")
def table(make_table, noon):
    """A row with every value, and a row with nulls."""
    history = {
        "history_items": ["old", "new"], "history_actions": ["play", "skip"], "history_times": [10, 20],
    }  # fmt: skip
    nulls = ("country", "surface", "user_plays_7d", "genre_shares", "item_trend", "age_at_request_days")
    return make_table(history, dict.fromkeys(nulls) | {"genre_weights": [1.0, 0.0]})


@pytest.fixture(scope="module")
def axes(table) -> Axes:
    """The axes of `table`."""
    return fit_axes([table])


def test_histories_come_most_recent_first_padded_to_50(table, axes):
    raw = raw_query(table, axes)
    assert raw["history_items"][0].tolist() == ["new", "old", *[""] * 48]
    assert raw["history_actions"][0].tolist() == ["skip", "play", *[""] * 48]
    assert raw["history_times"][0].tolist() == [20, 10, *[0] * 48]
    assert raw["history_items"][1].tolist() == [""] * 50


def test_nulls_become_empty_strings_and_zeros(table, axes):
    raw = raw_query(table, axes) | raw_item(table)
    assert (raw["country"][1], raw["surface"][1]) == ("", "")
    assert (raw["user_plays_7d"][1], raw["item_trend"][1]) == (0, 0)
    assert raw["age_at_request_days"].tolist() == [10, -1]  # 0 would mean the day of the release
    assert raw["genre_shares"].tolist() == [[0.5, 0.5], [0, 0]]


def test_shares_of_a_grown_vocabulary_are_cut_and_those_of_a_younger_model_are_padded(table):
    younger, older = Axes({}, genres=3, content_types=2), Axes({}, genres=1, content_types=1)
    assert raw_query(table, younger)["genre_shares"].tolist() == [[0.5, 0.5, 0], [0, 0, 0]]
    assert raw_query(table, younger)["content_type_shares"].tolist() == [[1, 0], [1, 0]]
    assert raw_query(table, older)["genre_shares"].tolist() == [[0.5], [0]]


def test_the_time_of_the_request_is_that_of_the_event(table, axes, noon):
    assert raw_query(table, axes)["request_ts"].tolist() == [int(noon.timestamp())] * 2


@pytest.mark.parametrize("part", ["query", "item"])
def test_raw_inputs_fit_the_specs(table, axes, part):
    arrays = raw_query(table, axes) if part == "query" else raw_item(table)
    expected = query_specs(axes) if part == "query" else item_specs()
    assert arrays.keys() == expected.keys()
    for name, spec in expected.items():
        dtype = np.dtype(object) if spec.dtype.name == "string" else np.dtype(spec.dtype.as_numpy_dtype)
        assert arrays[name].dtype == dtype, name
        assert spec.shape.is_compatible_with(arrays[name].shape), name
        assert spec.name == name


def test_batches_are_slices_in_order():
    parts = list(in_batches({"x": np.arange(5), "y": np.arange(10).reshape(5, 2)}, size=2))
    assert [part["x"].tolist() for part in parts] == [[0, 1], [2, 3], [4]]
    assert parts[2]["y"].tolist() == [[8, 9]]
