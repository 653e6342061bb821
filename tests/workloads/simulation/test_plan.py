"""A simulation begins with a plan, and goes on with the same one."""

import pytest

from segue.errors import InputError
from segue.files import write_json
from workloads.simulation.plan import Plan, begun, world_of

NANO = {"name": "nano", "users": 60, "items": 150, "days": 28, "sessions": 0.18, "version": 2, "seed": 3}
MANIFEST = {"dataset": "synthetic-nano", "log": "abc", "world": NANO}
SERVED = {**MANIFEST, "collected": {"cursor": "1"}}


def test_only_a_world_of_version_2_goes_on():
    with pytest.raises(InputError, match=r"imported world of version 2. The imported log is movielens-100k"):
        world_of({"dataset": "movielens-100k"})
    assert world_of(MANIFEST).seed == 3


def test_a_drift_is_planted_in_the_days_after_the_log(tmp_path):
    state, world = begun(tmp_path, MANIFEST, Plan(20, "genre", 6))
    assert state["drift"] == {"drift": "genre", "drift_day": 28 + 5}  # the sixth day after a log of 28 days
    assert [world.config.drifts("genre", day) for day in (32, 33)] == [False, True]
    plain = world_of(MANIFEST)
    assert (world.day(32).policy.tastes.genres == plain.day(32).policy.tastes.genres).all()
    assert (world.day(33).policy.tastes.genres != plain.day(33).policy.tastes.genres).any()


def test_a_simulation_goes_on_with_the_drift_that_it_began_with(tmp_path):
    first, _ = begun(tmp_path, MANIFEST, Plan(15, "outage"))
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "state.json", first)
    assert first["drift"] == {"drift": "outage", "drift_day": 28 + 7}  # 7 of the 15 days are as usual
    for plan in (Plan(20), Plan(20, "outage"), Plan(20, "outage", 8)):
        state, world = begun(tmp_path, SERVED, plan)
        assert state == first
        assert world.config.drift_day == 35
    for plan in (Plan(20, "genre"), Plan(20, "outage", 7)):
        with pytest.raises(
            InputError, match=r"keeps the drift that it began with. It has the drift outage from day 35"
        ):
            begun(tmp_path, SERVED, plan)


@pytest.mark.parametrize(
    ("plan", "changed", "message"),
    [
        (Plan(29), {}, r"goes on for 28 days after its log. Received 29"),
        (Plan(20, "fire"), {}, r"one of genre, catalogue, outage, behaviour. Received 'fire'"),
        (Plan(20, None, 3), {}, r"Received None"),
        (Plan(20, "genre", 21), {}, r"lies in 1 \.\. 20. Received 21"),
        (Plan(20, "genre"), {"drift": "outage", "drift_day": 3}, r"imported world has the drift outage"),
    ],
)
def test_a_plan_that_does_not_fit_the_world_is_refused(tmp_path, plan, changed, message):
    with pytest.raises(InputError, match=message):
        begun(tmp_path, {**MANIFEST, "world": {**NANO, **changed}}, plan)
    assert not (tmp_path / "state.json").exists()


def test_a_simulation_of_another_data_set_is_refused(tmp_path):
    state, _ = begun(tmp_path, MANIFEST, Plan(2))
    write_json(tmp_path / "state.json", state)
    with pytest.raises(InputError, match="simulation of one data set"):
        begun(tmp_path, {**SERVED, "log": "xyz"}, Plan(2))
    write_json(tmp_path / "state.json", {**state, "days": [{}]})
    assert begun(tmp_path, SERVED, Plan(2))[0]["days"] == [{}]
    with pytest.raises(InputError, match="imported again"):
        begun(tmp_path, MANIFEST, Plan(2))
    write_json(tmp_path / "state.json", {"log": "abc", "days": []})
    with pytest.raises(InputError, match="older version"):
        begun(tmp_path, MANIFEST, Plan(2))
