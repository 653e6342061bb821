"""Train/serve skew: push a day's events one by one, and compare the online features before each with training's."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from events.schema import IMPRESSION
from feature_repo.online import listener, push_interaction, session_state

pytestmark = pytest.mark.slow  # the features are built again at each request, which takes 4 s

USER = (
    "country", "age_band", "plan", "user_plays_7d", "user_plays_28d", "user_skip_rate_7d",
    "user_skip_rate_28d", "hours_since_last_play", "genre_shares", "content_type_shares",
)  # fmt: skip
HISTORY = ("history_items", "history_actions", "history_times")
SESSION = ("session_plays", "session_skips")
REPLAYED = 100  # events; the whole day takes four times as long


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, world, training_set, ingest_tables) -> list[tuple[dict, dict]]:
    """The training row of each of the last day's first impressions, and the online features just before it."""
    events = world.events
    midnight = events["ts"][-1].as_py().replace(hour=0, minute=0, second=0, microsecond=0)
    first = int(np.searchsorted(events["ts"].to_numpy(), np.datetime64(midnight.replace(tzinfo=None))))
    assert events["action"][first].as_py() == IMPRESSION  # so the log below has no interaction on the last day
    past = ingest_tables(tmp_path_factory.mktemp("replay"), events.slice(0, first + 1), world.items, world.users)
    store = past.refresh()
    trained = pa.concat_tables(training_set.values())
    expected = {row["event_id"]: row for row in trained.filter(pc.greater_equal(trained["ts"], midnight)).to_pylist()}
    pairs = []
    for event in events.slice(first, REPLAYED).to_pylist():
        if event["action"] == IMPRESSION:
            online = listener(store, event["user_id"]).features_at(event["ts"]) | session_state(
                store, event["session_id"]
            )
            pairs.append((expected[event["event_id"]], online))
        push_interaction(store, *(event[n] for n in ("user_id", "item_id", "action", "ts", "session_id")))
    return pairs


def test_the_replayed_events_are_varied_enough_to_compare(pairs):
    rows = [row for row, _ in pairs]
    assert len({row["user_id"] for row in rows}) > 3
    assert sum(row["session_plays"] > 0 for row in rows) > 20
    assert sum(row["session_skips"] > 0 for row in rows) > 20
    assert len({row["user_plays_7d"] for row in rows}) > 2


@pytest.mark.parametrize("name", HISTORY)
def test_histories_online_equal_training(pairs, name):
    for row, online in pairs:
        assert (online[name] or []) == row[name], row["event_id"]


@pytest.mark.parametrize("name", SESSION)
def test_sessions_online_equal_training(pairs, name):
    for row, online in pairs:
        assert online[name] == row[name], row["event_id"]


@pytest.mark.parametrize("name", USER)
def test_statistics_online_equal_training(pairs, name):
    for row, online in pairs:
        assert online[name] == row[name], row["event_id"]


def test_no_other_feature_is_online(pairs):
    assert set(pairs[0][1]) == {*USER, *HISTORY, *SESSION}


def test_a_history_ends_before_the_event(pairs):
    # The comparisons above would also pass if both sides knew the future.
    ages = [
        row["ts"] - timedelta(seconds=online["history_times"][-1]) for row, online in pairs if online["history_times"]
    ]
    assert min(age.timestamp() for age in ages) >= 0
