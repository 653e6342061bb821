"""The catalogue as of an instant."""

import pytest

from feature_repo.items_as_of import items_as_of

ITEMS = "b podcast pop -\na music rock 2026-01-03\nc music pop -"
# a has snapshots from day 0 to day 28, b from day 1 to day 28. c has none: its only event is on the last day.
LOG = """
    u a 0 12:00 play
    u a 1 12:00 play
    u b 1 12:00 skip
    u c 40 12:00 play
"""


@pytest.fixture(scope="module")
def plays(tmp_path_factory, ingest_log, at):
    """`plays(day, clock)`: `item_plays_28d` by item."""
    log = ingest_log(tmp_path_factory.mktemp("catalogue"), LOG, ITEMS)

    def by_item(day: int, clock: str) -> dict[str, float | None]:
        table = items_as_of(log.tables, at(day, clock))
        return dict(zip(table["item_id"].to_pylist(), table["item_plays_28d"].to_pylist(), strict=True))

    return by_item


@pytest.mark.parametrize(
    ("day", "clock", "expected"),
    [
        pytest.param(0, "23:59:59.999999", [None, None, None], id="before the first snapshot"),
        pytest.param(1, "00:00", [1, None, None], id="at the stamp of the first snapshot"),
        pytest.param(1, "23:59:59.999999", [1, None, None], id="until the next snapshot"),
        pytest.param(2, "00:00", [2, 0, None], id="the next snapshot replaces it"),
        pytest.param(29, "12:00", [1, 0, None], id="the last snapshot"),
        pytest.param(30, "12:00", [None, None, None], id="no activity in 28 days"),
    ],
)
def test_statistics_of_the_last_snapshot(plays, day, clock, expected):
    # Every item has a row, sorted by id, with or without statistics.
    assert plays(day, clock) == dict(zip("abc", expected, strict=True))


def test_items_without_statistics_keep_their_profiles(nano, world, split):
    table = items_as_of(nano.tables, split.start)
    assert table["item_id"].to_pylist() == sorted(world.items["item_id"].to_pylist())
    assert table["item_plays_7d"].null_count == table.num_rows
    assert table["genre_weights"].null_count == table["release_ts"].null_count == 0


def test_statistics_are_those_of_the_training_join(nano, nano_store, point_in_time, split):
    names = ["item_plays_7d", "item_skip_rate_28d", "item_like_rate_28d", "item_trend", "item_age_days"]
    rows = items_as_of(nano.tables, split.validation_end).to_pylist()
    keys = [("u00001", row["item_id"], split.validation_end) for row in rows]
    joined = point_in_time(nano_store, keys, [f"item_daily:{name}" for name in names])
    assert [{name: row[name] for name in names} for row in rows] == joined
    assert sum(row["item_trend"] is not None for row in rows) > 100
