"""The sums of each unit against a log of a few rows, worked by hand, and against pandas on a larger one."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise

import ibis
import numpy as np
import pandas as pd
import pytest

from experiments.assignment.assign import Running, assign, time_block
from experiments.definition import parse
from experiments.metrics.catalogue import CATALOGUE, METRICS
from experiments.metrics.log import Log
from experiments.metrics.sums import UnitSums, unit_sums
from segue.errors import InputError
from tests.experiments.conftest import DAYS, running
from tests.support.experiments import definition

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = 1 / 24
EXPERIMENT = Running(parse(definition(plan={"pre_days": 3})), ((0, 10_000),))
FIRST, SECOND = "u1", next(
    f"u{i}" for i in range(2, 99) if assign([EXPERIMENT], f"u{i}", {}, START)[0].arm
    != assign([EXPERIMENT], "u1", {}, START)[0].arm
)  # fmt: skip
ARM = {user: assign([EXPERIMENT], user, {}, START)[0].arm for user in (FIRST, SECOND)}


def row(user, day, action="impression", item="new", ms=0, shown=True, request="r", fallback=0, arm=None, degraded=()):
    """An event some days after the start; its exposure names the listener's arm, unless it is before or lost."""
    arms = f'{{"more-new": "{arm or ARM.get(user)}"}}' if day >= 0 else "{}"
    exposure = {"arms": arms, "fallback": fallback, "degraded": list(degraded)} if shown else None
    return {
        "user_id": user,
        "item_id": item,
        "ts": START + timedelta(days=day),
        "action": action,
        "ms_played": ms,
        "request_id": request,
        "exposure": exposure,
    }


def log(rows) -> Log:
    types = {
        "user_id": "string", "item_id": "string", "ts": "timestamp('UTC')", "action": "string", "ms_played": "int64",
        "request_id": "string", "exposure": "struct<arms: string, fallback: int32, degraded: array<string>>",
    }  # fmt: skip
    events = ibis.memtable(rows, schema=ibis.schema(types))
    items = [
        {"item_id": "new", "creator_id": "a", "release_date": START.date()},
        {"item_id": "old", "creator_id": "b", "release_date": START.date() - timedelta(days=400)},
    ]
    users = ibis.memtable([{"user_id": FIRST, "country": "SE"}, {"user_id": SECOND, "country": None}])
    return Log(events, ibis.memtable(items), users)


ROWS = [
    row(FIRST, -2), row(FIRST, -2, "play", ms=1_800_000), row(FIRST, -9, "play"),  # the last is too early to count
    row(FIRST, 0.1, "play", shown=False, request=None),  # before the first exposure
    row(FIRST, 1), row(FIRST, 1 + HOUR, "play", "new", 3_600_000), row(FIRST, 1 + HOUR, "like", "new"),
    row(FIRST, 2), row(FIRST, 2, "play", "old", 1_800_000), row(FIRST, 2 + HOUR, "play", "new"),
    row(FIRST, 9, "play", "old"),  # after the seven days of `days_returned`
    row(SECOND, 3), row(SECOND, 3, fallback=2, degraded=["ranking", "versions"]),
    row(SECOND, 3 + HOUR, "skip", degraded=["ranking"]), row(SECOND, 3, "skip", shown=False),
]  # fmt: skip
# numerator and denominator of each listener, and the numerator before
EXPECTED = {
    "play_rate": {FIRST: (4, 2, 1), SECOND: (0, 2, 0)},
    "listening_time": {FIRST: (1.5, 1, 0.5), SECOND: (0, 1, 0)},
    "likes": {FIRST: (1, 4, 0), SECOND: (0, 0, 0)},
    "days_returned": {FIRST: (2, 1, 1), SECOND: (0, 1, 0)},
    "new_release_plays": {FIRST: (2, 4, 0), SECOND: (0, 0, 0)},
    "diversity": {FIRST: (2, 4, 1), SECOND: (0, 0, 0)},
    "skip_rate": {FIRST: (0, 4, 0), SECOND: (2, 2, 0)},
    "fallback_share": {FIRST: (0, 2, 0), SECOND: (1, 2, 0)},
    "errors": {FIRST: (0, 2, 0), SECOND: (1, 2, 0)},
    "plays": {FIRST: (4, 1, 1), SECOND: (0, 1, 0)},
}


def sums_of(rows, experiment=EXPERIMENT, until=20):
    return unit_sums(log(rows), experiment, METRICS, START, START + timedelta(days=until))


@cache
def plain() -> UnitSums:
    """The sums of `ROWS`."""
    return sums_of(ROWS)


@pytest.mark.parametrize("metric", EXPECTED)
def test_the_catalogue_worked_by_hand(metric):
    found = plain()
    users = sorted((FIRST, SECOND))
    sums = found.sums[metric]
    columns = zip(sums.numerator, sums.denominator, sums.before_numerator, strict=True)
    assert dict(zip(users, columns, strict=True)) == {
        user: pytest.approx(values) for user, values in EXPECTED[metric].items()
    }


def test_every_metric_of_the_catalogue_is_worked_by_hand_or_needs_the_log_of_requests():
    assert {*EXPECTED, "latency"} == set(CATALOGUE)
    assert plain().unmeasured == {"latency": "there is no log of requests"}


def test_metrics_of_requests_are_summed_too():
    requests = [
        {"user_id": FIRST, "ts": START + timedelta(days=day), "latency_ms": ms}
        for day, ms in ((0.5, 900.0), (1.5, 20.0), (2.5, 40.0))  # the first is too early
    ]
    rows = log(ROWS)
    both = Log(rows.events, rows.items, rows.users, ibis.memtable(requests))
    found = unit_sums(both, EXPERIMENT, METRICS, START, START + timedelta(days=20))
    at = sorted((FIRST, SECOND)).index(FIRST)
    assert (found.sums["latency"].numerator[at], found.sums["latency"].denominator[at]) == (60.0, 2.0)
    assert found.sums["latency"].denominator[1 - at] == 0.0


def test_arms_slices_and_first_days():
    found = plain()
    users = sorted((FIRST, SECOND))
    assert [found.arms[arm] for arm in found.arm] == [ARM[user] for user in users]
    assert dict(zip(users, found.day, strict=True)) == {FIRST: 1, SECOND: 3}
    assert dict(zip(users, found.slices["country"], strict=True)) == {FIRST: "SE", SECOND: ""}
    assert (found.mixed, found.misassigned) == (0, 0)


def test_lost_exposures_are_those_of_actions_with_a_request():
    found = plain()
    lost = dict(
        zip(sorted((FIRST, SECOND)), zip(found.lost[1].numerator, found.lost[1].denominator, strict=True), strict=True)
    )
    assert lost == {FIRST: (0.0, 5.0), SECOND: (1.0, 2.0)}


def test_units_in_two_arms_are_left_out_and_others_arms_are_counted():
    other = {"control": "treatment", "treatment": "control"}
    mixed = sums_of([*ROWS, row(FIRST, 4, arm=other[ARM[FIRST]])])
    assert (mixed.mixed, len(mixed.arm)) == (1, 1)
    swapped = sums_of([*ROWS[:-4], row(SECOND, 3, arm=other[ARM[SECOND]])])
    assert (swapped.mixed, swapped.misassigned) == (0, 1)


def test_a_tester_is_left_out():
    experiment = Running(parse(definition(overrides={FIRST: "treatment"})), ((0, 10_000),))
    assert len(sums_of(ROWS, experiment).arm) == 1


def test_without_exposures_there_is_no_scorecard():
    with pytest.raises(InputError, match="needs exposed listeners"):
        sums_of(ROWS, until=0.5)


def test_a_switchback_sums_blocks_without_their_start():
    parts = definition(unit="time_block", block_hours=6)
    experiment = Running(parse(parts), ((0, 10_000),))
    arm = {hour: assign([experiment], FIRST, {}, START + timedelta(hours=hour))[0].arm for hour in (2, 8, 14)}
    # A quarter of a block is 1.5 hours: the page at hour 6.5 is left out, and its play at hour 8 with it.
    rows = [
        row(FIRST, hour / 24, action, request=request, arm=arm[block])
        for hour, block, action, request in (
            (2, 2, "impression", "a"),
            (3, 2, "play", "a"),
            (6.5, 8, "impression", "b"),
            (8, 8, "play", "b"),
            (8, 8, "impression", "c"),
            (14, 14, "impression", "d"),
        )
    ]
    found = sums_of(rows, experiment)
    assert time_block(START + timedelta(hours=2), 6) != time_block(START + timedelta(hours=8), 6)
    assert found.sums["play_rate"].numerator.tolist() == [1.0, 0.0, 0.0]
    assert [found.arms[each] for each in found.arm] == [arm[2], arm[8], arm[14]]
    assert found.sums["play_rate"].before_numerator is None


def test_a_play_counts_in_the_block_of_its_page():
    experiment = Running(parse(definition(unit="time_block", block_hours=6)), ((0, 10_000),))
    hours = range(2, 72, 6)  # a page in each block of three days, which is played when the next block is under way
    arms = [assign([experiment], FIRST, {}, START + timedelta(hours=hour))[0].arm for hour in hours]
    rows = [
        row(FIRST, at / 24, action, request=f"r{hour}", arm=arm)
        for hour, arm in zip(hours, arms, strict=True)
        for at, action in ((hour, "impression"), (hour + 6, "play"))
    ]
    found = sums_of(rows, experiment)
    assert {first == second for first, second in pairwise(arms)} == {True, False}
    assert (found.mixed, [found.arms[each] for each in found.arm]) == (0, arms)
    assert found.sums["play_rate"].numerator.tolist() == [1.0] * len(arms)


def test_sums_equal_those_of_pandas(open_planted, started):
    planted = open_planted("lift")
    until = started + timedelta(days=DAYS)
    found = unit_sums(planted, running(), [CATALOGUE["play_rate"], CATALOGUE["days_returned"]], started, until)
    read = planted.events
    events = read.select("user_id", "ts", "action", arms=read.exposure["arms"]).execute()
    events["arm"] = events.arms.str.extract(r': "(\w+)"')[0]
    exposed = (
        events[(events.ts >= pd.Timestamp(started)) & events.arm.notna()].groupby("user_id").agg(first=("ts", "min"))
    )
    after = events.join(exposed, on="user_id", how="inner")
    after = after[after.ts >= after["first"]]
    plays = after[after.action == "play"]
    counts = plays.groupby("user_id").size().reindex(exposed.index).fillna(0)
    days = plays.groupby("user_id").ts.agg(lambda ts: ts.dt.date.nunique()).reindex(exposed.index).fillna(0)
    assert np.array_equal(found.sums["play_rate"].numerator, counts.sort_index())
    assert np.array_equal(found.sums["days_returned"].numerator, days.sort_index())
