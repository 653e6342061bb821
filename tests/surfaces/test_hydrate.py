"""Hydration: a request gets its features, and the features become the inputs of a model."""

import asyncio

import pytest

from segue.errors import UnavailableError
from segue.settings import Home
from surfaces import hydrate
from surfaces.hydrate import Hydrator, UnknownListenerError, cold_start, newest_first
from surfaces.model_inputs import model_inputs
from surfaces.request import Request
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


class Store:
    """An open online store that fails or answers, as the test says."""

    opened, error = 0, None

    def __init__(self, home):
        Store.opened += 1
        if isinstance(Store.error, OSError):
            raise Store.error

    def hydrate(self, request):
        if Store.error:
            raise Store.error
        return {"country": "SE"}


def test_a_store_that_failed_is_opened_at_most_once_a_second(monkeypatch, tmp_path):
    monkeypatch.setattr(hydrate, "OnlineFeatures", Store)
    monkeypatch.setattr(Store, "opened", 0)
    monkeypatch.setattr(Store, "error", OSError("gone"))
    hydrator, request = Hydrator(Home(tmp_path)), Request("u", NOW)
    with pytest.raises(OSError, match="gone"):
        asyncio.run(hydrator(request))
    for _ in range(5):
        with pytest.raises(UnavailableError, match="opened anew after 1 s"):
            asyncio.run(hydrator(request))
    assert Store.opened == 1
    monkeypatch.setattr(hydrate.time, "monotonic", lambda: hydrator._open_from)
    monkeypatch.setattr(Store, "error", UnknownListenerError("who", ""))
    with pytest.raises(UnknownListenerError):
        asyncio.run(hydrator(request))
    assert Store.opened == 2
    monkeypatch.setattr(Store, "error", None)
    assert asyncio.run(hydrator(request)) == {"country": "SE"}
    assert Store.opened == 2
    hydrator.close()
