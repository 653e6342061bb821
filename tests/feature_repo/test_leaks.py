"""Planted leaks are found, and clean features have none."""

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from ibis import _

from events import schema
from feature_repo import transformations
from feature_repo.build import build
from feature_repo.leaks import check, differing, future_histories, replay, same

pytestmark = pytest.mark.slow  # the features are built again at each cut, which takes 12 s


@pytest.fixture(scope="module")
def instants(world):
    """A midnight and two other instants of the nano world."""
    day = world.events["ts"][-1].as_py().replace(hour=0, minute=0, second=0, microsecond=0)
    return [day.replace(day=20, month=1), day.replace(day=25, month=1, hour=13), day]


def stamp_at_start(day):
    """Stamp a snapshot with the start of its day, so that it is visible before the day's events."""
    return (day.cast("int64") * transformations.DAY_SECONDS).as_timestamp("s").cast(transformations.TIMESTAMP)


def counts_of_the_whole_log(done, key: str, extra: list[str], daily_counts=transformations.daily_counts):
    """Give every day the plays of the whole log, later days included."""
    daily = daily_counts(done, key, extra)
    total = daily.group_by(key).agg(all_plays=_.plays.sum().cast("float32"))
    return daily.drop("plays").join(total, key).rename(plays="all_plays")


def last_of_all(sequence, count):
    """Return the last 50 interactions of the whole log, later ones included."""
    return sequence[ibis.greatest(sequence.length() - transformations.HISTORY, 0) :]


def test_clean_features_have_no_leak(nano, training_set, instants):
    assert check(nano.folder, nano.tables, instants, list(training_set.values())) == []


@pytest.mark.parametrize(
    ("name", "leak", "named"),
    [
        # The snapshot of the current day is visible too early: every table has a row too many.
        pytest.param(
            "stamp",
            stamp_at_start,
            {"user_daily.(rows:", "user_history.(rows:", "item_daily.(rows:"},
            id="stamp",
        ),
        # The rates and shares are divided by plays, so they differ too.
        pytest.param(
            "daily_counts",
            counts_of_the_whole_log,
            {
                "user_daily.user_plays_7d", "user_daily.user_plays_28d", "user_daily.user_skip_rate_7d",
                "user_daily.user_skip_rate_28d", "user_daily.genre_shares", "user_daily.content_type_shares",
                "item_daily.item_plays_7d", "item_daily.item_plays_28d", "item_daily.item_skip_rate_28d",
                "item_daily.item_like_rate_28d", "item_daily.item_trend",
            },
            id="counts",
        ),
        pytest.param(
            "last",
            last_of_all,
            {"user_history.history_items", "user_history.history_actions", "user_history.history_times"},
            id="history",
        ),
    ],
)  # fmt: skip
def test_a_replay_names_exactly_the_columns_with_a_planted_leak(
    nano, instants, tmp_path, monkeypatch, name, leak, named
):
    monkeypatch.setattr(transformations, name, leak)  # both the build and the replay run the leaking code
    build(nano.folder, tmp_path / "tables")
    findings = replay(nano.folder, tmp_path / "tables", instants[1])
    assert {sentence.split()[0] for sentence in findings} == named
    assert all("as of 2026-01-25 13:00" in sentence for sentence in findings)


def training_rows(at, *times: list[str]) -> pa.Table:
    """Return rows at noon of day 0 (and half a second), whose histories have these clock times."""
    return pa.table({
        "ts": pa.array([at(0, "12:00:00.5")] * len(times), schema.TIMESTAMP),
        "history_times": pa.array(
            [[int(at(0, clock).timestamp()) for clock in clocks] for clocks in times], pa.list_(pa.int64())
        ),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("times", "late"),
    [
        pytest.param([["11:00", "12:00"], []], 0, id="all entries are earlier"),
        pytest.param([["11:00"], ["11:00", "12:00:01"]], 1, id="one row has a later entry"),
        pytest.param([["12:00:01", "13:00"], ["13:00"]], 2, id="a row with two later entries counts once"),
    ],
)
def test_training_rows_with_a_later_history_are_counted(at, times, late):
    assert future_histories(training_rows(at, *times)) == late


def test_later_histories_are_reported(nano, at):
    tables = [training_rows(at, ["13:00"]), training_rows(at, ["11:00"], ["13:00"])]
    assert check(nano.folder, nano.tables, [], tables) == ["2 training rows have a history later than themselves"]


def test_a_later_entry_planted_in_a_real_history_is_counted(training_set):
    test = training_set["test"]
    later = pc.add(test["ts"].combine_chunks().cast(pa.int64()).to_numpy()[:1] // 1_000_000, 1)
    lists = test["history_times"].to_pylist()
    lists[0] = [*lists[0], later[0].as_py()]
    column = test.schema.get_field_index("history_times")
    planted = test.set_column(column, "history_times", pa.array(lists, pa.list_(pa.int64())))
    assert (future_histories(test), future_histories(planted)) == (0, 1)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        pytest.param([1.0, None], [1.0 + 1e-7, None], True, id="rounding"),
        pytest.param([1.0], [1.01], False, id="another float"),
        pytest.param([1.0, None], [1.0, 2.0], False, id="null against a float"),
        pytest.param([[1.0], [2.0]], [[1.0], [2.0]], True, id="equal lists"),
        pytest.param([[1.0, 2.0], []], [[1.0], [2.0]], False, id="lists of other lengths"),
        pytest.param([["a"]], [["b"]], False, id="another string"),
        pytest.param([1], [2], False, id="another integer"),
    ],
)
def test_same(left, right, equal):
    assert same(pa.chunked_array([left]), pa.chunked_array([right])) is equal


def test_tables_of_other_lengths_differ_as_a_whole():
    assert differing(pa.table({"x": [1, 2]}), pa.table({"x": [1]})) == ["(rows: 2 against 1)"]
