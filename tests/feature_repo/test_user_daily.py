"""Daily statistics of listeners, computed by hand."""

import pytest

from feature_repo.transformations import user_daily

GENRES, CONTENT_TYPES = ["rock", "pop"], ["music", "podcast"]
ITEMS = """
    a  music    rock      -
    b  podcast  rock,pop  -
    c  -        -         -
"""
# u: a play, a like and a skip on day 0, a play on day 8. v: a skip and an impression. w: only an impression.
LOG = """
    u a 0 10:00 play
    u b 0 11:00 skip
    u b 0 18:00 like
    u c 8 06:00 play
    v a 1 10:00 skip
    v b 1 10:01 impression
    w a 1 10:00 impression
"""


@pytest.fixture(scope="module")
def build(make_log, make_items, memory, snapshots_by_day, day_number):
    """`build(log, last_day)`: the snapshots by `(user, day)`."""

    def snapshots(log: str, last_day: int = 100) -> dict[tuple[str, int], dict]:
        events, items = memory(make_log(log)), memory(make_items(ITEMS))
        table = user_daily(events, items, GENRES, CONTENT_TYPES, day_number(last_day))
        return snapshots_by_day(table, "user_id")

    return snapshots


@pytest.fixture(scope="module")
def snapshots(build):
    """The snapshots of `LOG`."""
    return build(LOG)


@pytest.mark.parametrize(
    ("user", "day", "plays_7d", "plays_28d"),
    [
        pytest.param("u", 0, 2, 2, id="a like counts as a play, a skip does not"),
        pytest.param("u", 6, 2, 2, id="day 0 is the first of the last 7 days"),
        pytest.param("u", 7, 0, 2, id="day 0 is 7 days ago"),
        pytest.param("u", 8, 1, 3, id="a new play"),
        pytest.param("u", 27, 0, 3, id="day 0 is the first of the last 28 days"),
        pytest.param("u", 28, 0, 1, id="day 0 is 28 days ago"),
        pytest.param("v", 1, 0, 0, id="only a skip"),
    ],
)
def test_plays(snapshots, user, day, plays_7d, plays_28d):
    row = snapshots[user, day]
    assert (row["user_plays_7d"], row["user_plays_28d"]) == (plays_7d, plays_28d)


@pytest.mark.parametrize(
    ("user", "day", "rate_7d", "rate_28d"),
    [
        pytest.param("u", 0, 1 / 3, 1 / 3, id="one skip, two plays"),
        pytest.param("u", 7, 0, 1 / 3, id="nothing in 7 days"),
        pytest.param("u", 8, 0, 1 / 4, id="one skip, three plays"),
        pytest.param("u", 28, 0, 0, id="the skip is 28 days ago"),
        pytest.param("v", 1, 1, 1, id="only a skip"),
    ],
)
def test_skip_rates(snapshots, user, day, rate_7d, rate_28d):
    row = snapshots[user, day]
    assert (row["user_skip_rate_7d"], row["user_skip_rate_28d"]) == pytest.approx((rate_7d, rate_28d))


@pytest.mark.parametrize(
    ("user", "day", "genres", "content_types"),
    [
        # Plays of a (rock 1) and b (rock 1/2, pop 1/2): rock 3/2 of 2, pop 1/2 of 2.
        pytest.param("u", 0, [3 / 4, 1 / 4], [1 / 2, 1 / 2], id="two plays"),
        # c has neither genre nor type, and still counts as one of three plays.
        pytest.param("u", 8, [3 / 6, 1 / 6], [1 / 3, 1 / 3], id="an item without genre and type"),
        pytest.param("u", 28, [0, 0], [0, 0], id="only the play of that item is left"),
        pytest.param("v", 1, [0, 0], [0, 0], id="a skip does not count"),
    ],
)
def test_shares(snapshots, user, day, genres, content_types):
    row = snapshots[user, day]
    assert row["genre_shares"] == pytest.approx(genres)
    assert row["content_type_shares"] == pytest.approx(content_types)


@pytest.mark.parametrize(
    ("user", "day", "hours"),
    [
        pytest.param("u", 0, 6, id="18:00 to midnight"),
        pytest.param("u", 7, 7 * 24 + 6, id="a week later"),
        pytest.param("u", 8, 18, id="a new play"),
        pytest.param("u", 35, 27 * 24 + 18, id="the last snapshot"),
        pytest.param("v", 1, 28 * 24, id="never played: counts as 28 days ago"),
    ],
)
def test_hours_since_the_last_play(snapshots, user, day, hours):
    assert snapshots[user, day]["hours_since_last_play"] == pytest.approx(hours)


def test_a_snapshot_is_stamped_with_the_end_of_its_day(snapshots, at):
    assert snapshots["v", 1]["event_timestamp"] == at(2, "00:00")


def test_snapshots_end_27_days_after_the_last_activity(snapshots):
    assert [day for user, day in snapshots if user == "u"] == list(range(8 + 28))
    assert [day for user, day in snapshots if user == "v"] == list(range(1, 1 + 28))


def test_a_pause_of_more_than_28_days_has_no_snapshots(build):
    days = [day for _, day in build("u a 0 10:00 play\nu a 40 10:00 play")]
    assert days == [*range(28), *range(40, 68)]


def test_impressions_do_not_count_as_activity(snapshots):
    assert "w" not in {user for user, _ in snapshots}


@pytest.mark.parametrize(
    ("last_day", "days"),
    [pytest.param(3, 4, id="before the second active day"), pytest.param(8, 9, id="the second active day")],
)
def test_snapshots_end_with_the_last_complete_day(build, last_day, days):
    assert [day for user, day in build(LOG, last_day) if user == "u"] == list(range(days))


def test_a_running_day_changes_no_snapshot(build, snapshots):
    # The log ends on day 8. Without a snapshot of that day, those up to day 7 stay the same.
    bounded = build(LOG, last_day=7)
    assert bounded == {key: row for key, row in snapshots.items() if key[1] <= 7}


def test_midnight_belongs_to_the_day_that_begins(build):
    built = build("u a 0 23:59:59.999999 play\nu a 1 00:00 play")
    assert [built["u", day]["user_plays_7d"] for day in (0, 1)] == [1, 2]


def test_each_listener_has_their_own_counts(build):
    built = build("u a 0 10:00 play\nv a 0 10:00 play\nv a 1 10:00 play")
    assert (built["u", 1]["user_plays_7d"], built["v", 1]["user_plays_7d"]) == (1, 2)
