"""Daily statistics of items, computed by hand."""

import pytest

from feature_repo.transformations import item_daily

# Day 0 is 2026-01-05, two days after the release of a and five days before the release of c.
ITEMS = """
    a music rock 2026-01-03
    b music rock -
    c music rock 2026-01-10
"""
# a: three plays (one of them a like) and a skip on day 0, a play on day 10. b: a skip on day 0. c: a play on day 0.
LOG = """
    u a 0 10:00 play
    v a 0 11:00 play
    v a 0 11:01 like
    w a 0 12:00 skip
    w b 0 12:01 skip
    w b 0 12:02 impression
    w c 0 12:03 play
    u a 10 12:00 play
"""


@pytest.fixture(scope="module")
def build(make_log, make_items, memory, snapshots_by_day, day_number):
    """`build(log, last_day)`: the snapshots by `(item, day)`."""

    def snapshots(log: str, last_day: int = 100) -> dict[tuple[str, int], dict]:
        table = item_daily(memory(make_log(log)), memory(make_items(ITEMS)), day_number(last_day))
        return snapshots_by_day(table, "item_id")

    return snapshots


@pytest.fixture(scope="module")
def snapshots(build):
    """The snapshots of `LOG`."""
    return build(LOG)


@pytest.mark.parametrize(
    ("item", "day", "plays_7d", "plays_28d"),
    [
        pytest.param("a", 0, 3, 3, id="a like is a play"),
        pytest.param("a", 6, 3, 3, id="within 7 days"),
        pytest.param("a", 7, 0, 3, id="7 days ago"),
        pytest.param("a", 10, 1, 4, id="a new play"),
        pytest.param("a", 28, 0, 1, id="28 days ago"),
        pytest.param("b", 0, 0, 0, id="neither a skip nor an impression is a play"),
    ],
)
def test_plays(snapshots, item, day, plays_7d, plays_28d):
    row = snapshots[item, day]
    assert (row["item_plays_7d"], row["item_plays_28d"]) == (plays_7d, plays_28d)


@pytest.mark.parametrize(
    ("item", "day", "skip_rate", "like_rate"),
    [
        pytest.param("a", 0, 1 / 4, 1 / 4, id="three plays, one of them a like, and a skip"),
        pytest.param("a", 10, 1 / 5, 1 / 5, id="four plays, one of them a like, and a skip"),
        pytest.param("a", 28, 0, 0, id="only the new play is left"),
        pytest.param("b", 0, 1, 0, id="only a skip"),
    ],
)
def test_rates_are_shares_of_plays_and_skips(snapshots, item, day, skip_rate, like_rate):
    row = snapshots[item, day]
    assert (row["item_skip_rate_28d"], row["item_like_rate_28d"]) == pytest.approx((skip_rate, like_rate))


@pytest.mark.parametrize(
    ("item", "day", "trend"),
    [
        pytest.param("a", 0, 4, id="all plays are recent: (3 / 7) / (3 / 28)"),
        pytest.param("a", 7, 0, id="no play is recent"),
        pytest.param("a", 10, 1, id="one of four plays is recent: (1 / 7) / (4 / 28)"),
        pytest.param("b", 0, 0, id="never played"),
    ],
)
def test_trend(snapshots, item, day, trend):
    assert snapshots[item, day]["item_trend"] == pytest.approx(trend)


@pytest.mark.parametrize(
    ("item", "day", "age"),
    [
        pytest.param("a", 0, 3, id="the end of day 0 is three days after the release"),
        pytest.param("a", 37, 40, id="the last snapshot"),
        pytest.param("c", 0, 0, id="played before its release"),
        pytest.param("c", 5, 1, id="the end of the day of the release"),
        pytest.param("b", 0, -1, id="release unknown"),
    ],
)
def test_age(snapshots, item, day, age):
    assert snapshots[item, day]["item_age_days"] == age


def test_a_snapshot_is_stamped_with_the_end_of_its_day(snapshots, at):
    assert snapshots["a", 10]["event_timestamp"] == at(11, "00:00")


def test_snapshots_end_27_days_after_the_last_activity(snapshots):
    assert [day for item, day in snapshots if item == "a"] == list(range(10 + 28))
    assert [day for item, day in snapshots if item == "b"] == list(range(28))


def test_snapshots_end_with_the_last_complete_day(build):
    assert [day for item, day in build(LOG, last_day=9) if item == "a"] == list(range(10))
