"""The point-in-time join through Feast, on a log that is small enough to check by hand."""

import pytest

ITEMS = """
    a music   rock 2026-01-03
    b podcast pop  -
"""
# u and a have snapshots from day 0 to day 28, b and v from day 1 to day 28.
LOG = """
    u a 0  12:00           play
    u a 0  23:59:59.999999 play
    u b 1  00:00           play
    v a 1  01:00           skip
    w b 60 12:00           play
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory, ingest_log):
    """A store over `LOG`."""
    return ingest_log(tmp_path_factory.mktemp("point_in_time"), LOG, ITEMS).store()


@pytest.fixture(scope="module")
def joined(store, point_in_time, at):
    """`joined(user, item, day, clock)`: the features of one example."""
    return lambda user, item, day, clock: point_in_time(store, [(user, item, at(day, clock))])[0]


@pytest.mark.parametrize(
    ("day", "clock", "plays"),
    [
        pytest.param(0, "23:59:59.999999", None, id="the own day is unknown up to its last microsecond"),
        pytest.param(1, "00:00", 2, id="at midnight the day that ended is known"),
        pytest.param(1, "00:00:00.000001", 2, id="an event at midnight belongs to the new day"),
        pytest.param(1, "23:59:59.999999", 2, id="the same snapshot for the whole day"),
        pytest.param(2, "00:00", 3, id="at the next midnight the next day is known"),
        pytest.param(28, "12:00", 3, id="day 0 is the first of the last 28 days"),
        pytest.param(29, "12:00", 1, id="the last snapshot: day 28"),
        pytest.param(30, "00:00", 1, id="the last snapshot is valid for one day, its end included"),
        pytest.param(30, "00:00:00.000001", None, id="after that no snapshot is valid"),
    ],
)
def test_the_instant_selects_the_listeners_snapshot(joined, day, clock, plays):
    assert joined("u", "a", day, clock)["user_plays_28d"] == plays


def test_a_listener_without_a_snapshot_has_nulls(joined):
    row = joined("v", "a", 1, "12:00")
    daily = ["user_plays_7d", "user_plays_28d", "user_skip_rate_7d", "user_skip_rate_28d", "genre_shares"]
    assert [row[name] for name in daily] == [None] * 5
    assert row["item_plays_28d"] == 2  # the item has a snapshot


def test_an_item_without_a_snapshot_has_nulls(joined):
    row = joined("u", "b", 1, "12:00")
    assert (row["item_plays_7d"], row["item_trend"], row["item_age_days"]) == (None, None, None)
    assert (row["content_type"], row["genre_weights"]) == ("podcast", [1, 0])  # pop, rock


def test_profiles_are_always_known(joined):
    row = joined("u", "a", 30, "12:00")
    assert (row["country"], row["plan"], row["content_type"]) == ("SE", "", "music")


@pytest.mark.parametrize(
    ("user", "item", "day", "affinity", "age"),
    [
        # u played rock twice on day 0. a is rock and was released on day -2, three and a half days before the noon
        # of day 1.
        pytest.param("u", "a", 1, 1.0, 3.5, id="a genre of the day before"),
        pytest.param("u", "b", 1, 0.0, -1.0, id="another genre, release unknown"),
        # At the end of day 1, u has two plays of rock and one of pop.
        pytest.param("u", "b", 2, 1 / 3, -1.0, id="a third of the plays"),
        pytest.param("v", "a", 1, 0.0, 3.5, id="listener without plays"),
    ],
)
def test_features_of_the_request(joined, user, item, day, affinity, age):
    row = joined(user, item, day, "12:00")
    assert (row["genre_affinity"], row["age_at_request_days"]) == pytest.approx((affinity, age))


def test_rows_come_in_the_order_of_the_keys(store, point_in_time, at):
    keys = [("u", "b", at(28)), ("u", "a", at(1)), ("v", "a", at(2)), ("u", "a", at(1)), ("u", "a", at(2))]
    joined = point_in_time(store, keys, ["user_daily:user_plays_28d", "item_profile:content_type"])
    assert [tuple(row.values()) for row in joined] == [
        (3, "podcast"), (2, "music"), (0, "music"), (2, "music"), (3, "music"),
    ]  # fmt: skip


def test_an_unknown_listener_and_item_have_nulls_and_defaults(joined):
    row = joined("nobody", "nothing", 1, "12:00")
    defaults = {name: value for name, value in row.items() if value is not None}
    assert defaults == {"genre_affinity": 0, "age_at_request_days": -1}
