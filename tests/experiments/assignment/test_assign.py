"""Assignment: exclusive layers, holdback, nested ramps, eligibility, overrides, and what an exposure names."""

from dataclasses import replace
from datetime import UTC, datetime

import ibis
import pytest

from experiments.assignment.assign import Running, arm_column, arms_to_log, assign, time_block
from experiments.assignment.buckets import bucket
from experiments.assignment.layers import allot, overlapping
from experiments.definition import parse
from segue.errors import InputError
from tests.support.experiments import definition

AT = datetime(2026, 3, 2, 13, tzinfo=UTC)
USERS = [f"u{number}" for number in range(4000)]


def running(stage=1, ranges=((0, 10_000),), **parts) -> Running:
    return Running(parse(definition(**parts)), ranges, stage)


def arms(experiment: Running, **attributes) -> dict[str, str]:
    given = {user: assign([experiment], user, attributes, AT) for user in USERS}
    return {user: each[0].arm for user, each in given.items() if each}


def test_shares_are_kept_within_what_chance_allows():
    experiment = running(arms=[{"name": "a", "share": 0.7}, {"name": "b", "share": 0.2}, {"name": "c", "share": 0.1}])
    given = list(arms(experiment).values())
    for name, share in (("a", 0.7), ("b", 0.2), ("c", 0.1)):
        assert given.count(name) == pytest.approx(share * len(USERS), abs=4 * (len(USERS) * share) ** 0.5)


def test_a_ramp_adds_listeners_and_moves_nobody():
    ramp = running(share=[0.05, 0.2, 0.5], ranges=((100, 2000), (4000, 7100)))
    stages = [arms(replace(ramp, stage=stage)) for stage in (1, 2, 3)]
    assert len(stages[0]) < len(stages[1]) < len(stages[2])
    assert stages[0].items() <= stages[1].items() <= stages[2].items()


def test_experiments_of_a_layer_share_no_listener_and_leave_the_holdback():
    first = allot(0.3, 0.1, [], "home")
    second = allot(0.6, 0.1, first, "home")
    one, two = running(ranges=first, share=[0.3]), running(name="other", ranges=second, share=[0.6])
    seen = arms(one).keys(), arms(two).keys()
    assert not seen[0] & seen[1]
    held = {user for user in USERS if bucket("layer-home", user) < 1000}
    assert held.isdisjoint(seen[0] | seen[1])
    assert held | seen[0] | seen[1] == set(USERS)


def test_freed_buckets_are_given_again():
    assert allot(0.3, 0.0, [(1000, 5000)], "home") == ((0, 1000), (5000, 7000))


def test_a_full_layer_refuses():
    with pytest.raises(InputError, match=r"at most 100 %.*30.00% left.*40.00%"):
        allot(0.4, 0.1, [(1000, 7000)], "home")


@pytest.mark.parametrize(
    ("attributes", "has"),
    [({"country": "SE"}, True), ({"country": "US"}, False), ({"country": None}, False), ({}, False)],
)
def test_only_the_eligible_are_assigned(attributes, has):
    assert bool(arms(running(eligible={"country": ["SE", "NO"]}), **attributes)) is has


def test_a_tester_sees_the_arm_of_the_override_also_outside_of_the_experiment():
    experiment = running(eligible={"country": ["SE"]}, overrides={"u1": "treatment"})
    (given,) = assign([experiment], "u1", {}, AT)
    assert (given.arm, given.forced, dict(given.parameters)) == ("treatment", True, {"home.weights.popular": 2.0})


def test_an_exposure_names_only_experiments_whose_arms_differ_in_what_was_read():
    given = assign([running()], "u1", {}, AT)
    assert arms_to_log(given, ["home.weights.popular", "home.rows"]).keys() == {"more-new"}
    assert arms_to_log(given, ["home.rows"]) == {}


def test_a_switchback_gives_all_listeners_of_a_block_one_arm():
    experiment = running(unit="time_block", block_hours=6)
    assert len(set(arms(experiment).values())) == 1
    blocks = [datetime(2026, 3, day, hour, tzinfo=UTC) for day in range(1, 29) for hour in (0, 5, 6, 12, 18)]
    by_block = {time_block(at, 6): assign([experiment], "u1", {}, at)[0].arm for at in blocks}
    assert all(assign([experiment], "u2", {}, at)[0].arm == by_block[time_block(at, 6)] for at in blocks)
    assert set(by_block.values()) == {"control", "treatment"}
    assert len(by_block) == 28 * 4


def test_the_column_of_arms_is_the_assignment():
    experiment = running(share=[0.1, 0.4], ranges=((100, 2000), (4000, 6100)), stage=2)
    table = ibis.memtable({"user": USERS})
    rows = table.mutate(arm=arm_column(experiment, table.user)).to_pyarrow().to_pylist()
    assert {row["user"]: row["arm"] for row in rows if row["arm"]} == arms(experiment)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [("home.a", "home.a", True), ("home", "home.a", True), ("home.a", "home.ab", False), ("home.a", "search.a", False)],
)
def test_parameters_overlap_where_one_holds_the_other(first, second, shared):
    assert bool(overlapping([first], [second])) is shared
    assert bool(overlapping([second], [first])) is shared
