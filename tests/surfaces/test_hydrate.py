"""Hydration: a request gets its features, and the features become the inputs of a model."""

from datetime import UTC, datetime, timedelta

import pytest

from segue.errors import InputError
from segue.settings import Home
from surfaces.hydrate import OnlineFeatures, cold_start, newest_first
from surfaces.model_inputs import model_inputs
from surfaces.request import Request
from tests.surfaces.conftest import FILTERS, NOW, QUERY

REQUEST_TS = int(NOW.timestamp())
NO_EVENT = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def online(monkeypatch, tmp_path):
    """Online features of `u1`; the log ends at `NOW`, and `u2` has a push an hour later."""
    pushes = {"u2": NOW + timedelta(hours=1)}
    monkeypatch.setattr("feature_repo.feast_store.open_store", lambda home: None)
    monkeypatch.setattr("feature_repo.online.state", lambda home: {"last_event": NOW.isoformat()})
    monkeypatch.setattr("feature_repo.online.newest", lambda store, user: pushes.get(user, NO_EVENT))
    monkeypatch.setattr("feature_repo.online.user_state", lambda store, user, at: {"history_items": ["first", "last"]})
    monkeypatch.setattr("feature_repo.online.session_state", lambda store, session: {"session_plays": 2.0})
    return OnlineFeatures(Home(tmp_path))


def test_features_of_listener_session_and_request_come_together(online):
    request = Request("u1", surface="search", session_id="s", content_types=("music",), market="SE")

    assert online.hydrate(request, NOW) == {
        "history_items": ["last", "first"],
        "session_plays": 2.0,
        "request_ts": REQUEST_TS,
        "surface": "search",
        "content_types": ["music"],
        "market": "SE",
    }


def test_a_new_listener_is_not_read(online):
    features = online.hydrate(Request("u1", picks=("a",)), NOW)

    assert features["history_items"] == ["a"]
    assert (features["content_types"], features["market"]) == (None, None)


@pytest.mark.parametrize(
    ("users", "hours"), [pytest.param(["u1"], 0, id="end of the log"), pytest.param(["u1", "u2"], 1, id="later push")]
)
def test_without_an_instant_all_requests_are_made_at_the_newest_event(online, users, hours):
    at, hydrated = online.hydrate_all([Request(user) for user in users], None)

    assert at == NOW + timedelta(hours=hours)
    assert {features["request_ts"] for features in hydrated} == {REQUEST_TS + hours * 3600}


def test_an_instant_without_a_time_zone_is_refused(online):
    with pytest.raises(InputError, match="The instant of a request has a time zone"):
        online.hydrate(Request("u1"), NOW.replace(tzinfo=None))


def test_picks_count_as_liked_at_the_request_and_the_last_pick_comes_first():
    assert cold_start(["a", "b"], NOW) == {
        "history_items": ["b", "a"],
        "history_actions": ["like", "like"],
        "history_times": [REQUEST_TS, REQUEST_TS],
    }


def test_histories_are_turned_round_and_other_features_stay():
    stored = {"history_items": ["first", "last"], "history_times": None, "genre_shares": [0.1, 0.9], "country": "SE"}

    assert newest_first(stored) == {**stored, "history_items": ["last", "first"]}


def test_unknown_features_are_neutral():
    inputs = model_inputs({**cold_start([], NOW), "request_ts": REQUEST_TS, "surface": "home"}, QUERY | FILTERS)

    assert inputs["history_items"].tolist() == [[""]]
    assert inputs["genre_shares"].tolist() == [[0.0, 0.0]]
    assert inputs["content_types"].tolist() == [[""]]
    assert inputs["released_after"].tolist() == [0]
    assert {name: values.dtype.name for name, values in inputs.items()} == {
        name: "object" if spec["dtype"] == "string" else spec["dtype"] for name, spec in (QUERY | FILTERS).items()
    }
