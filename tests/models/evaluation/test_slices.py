"""Slices of held-out examples."""

import pytest

from models.evaluation.slices import SLICES, slice_columns


def column(make_table, name: str, *rows: dict) -> list[str]:
    """A slice's value for each row; the train span has item i1 only."""
    return slice_columns(make_table(*rows), {"i1"})[name].tolist()


@pytest.mark.parametrize("name", ["surface", "content_type"])
def test_a_missing_value_is_none(make_table, name):
    assert column(make_table, name, {name: "home"}, {name: ""}, {name: None}) == ["home", "none", "none"]


@pytest.mark.parametrize(
    ("length", "slice_"),
    [(0, "cold"), (1, "light"), (9, "light"), (10, "regular"), (49, "regular"), (50, "heavy")],
)
def test_activity_by_the_length_of_the_history(make_table, length, slice_):
    assert column(make_table, "user_activity", {"history_items": ["i"] * length}) == [slice_]


@pytest.mark.parametrize(
    ("item", "age", "slice_"),
    [
        pytest.param("i1", 15.0, "known", id="in the train span, released 15 days ago"),
        pytest.param("i1", 14.0, "new", id="released 14 days ago"),
        pytest.param("i1", 0.0, "new", id="released today"),
        pytest.param("i1", -1.0, "known", id="release unknown"),
        pytest.param("i1", None, "known", id="age unknown"),
        pytest.param("i2", 0.0, "unseen", id="new and not in the train span"),
        pytest.param("i2", 99.0, "unseen", id="not in the train span"),
    ],
)
def test_novelty(make_table, item, age, slice_):
    assert column(make_table, "item_novelty", {"item_id": item, "age_at_request_days": age}) == [slice_]


def test_every_slice_has_a_definition(make_table):
    assert all(function.__doc__ for function in SLICES.values())
    assert list(slice_columns(make_table({}), set())) == list(SLICES)
