"""Hydration: a request gets its features, and the features become the inputs of a model."""

from surfaces.hydrate import cold_start, newest_first
from surfaces.model_inputs import model_inputs
from tests.surfaces.conftest import FILTERS, NOW, QUERY

REQUEST_TS = int(NOW.timestamp())


def test_picks_count_as_liked_at_the_request_and_the_last_pick_comes_first():
    assert cold_start(["a", "b"], REQUEST_TS) == {
        "history_items": ["b", "a"],
        "history_actions": ["like", "like"],
        "history_times": [REQUEST_TS, REQUEST_TS],
    }


def test_histories_are_turned_round_and_other_features_stay():
    stored = {"history_items": ["first", "last"], "history_times": None, "genre_shares": [0.1, 0.9], "country": "SE"}

    assert newest_first(stored) == {**stored, "history_items": ["last", "first"]}


def test_unknown_features_are_neutral():
    inputs = model_inputs({**cold_start([], REQUEST_TS), "request_ts": REQUEST_TS, "surface": "home"}, QUERY | FILTERS)

    assert inputs["history_items"].tolist() == [[""]]
    assert inputs["genre_shares"].tolist() == [[0.0, 0.0]]
    assert inputs["content_types"].tolist() == [[""]]
    assert inputs["released_after"].tolist() == [0]
    assert {name: values.dtype.name for name, values in inputs.items()} == {
        name: "object" if spec["dtype"] == "string" else spec["dtype"] for name, spec in (QUERY | FILTERS).items()
    }
