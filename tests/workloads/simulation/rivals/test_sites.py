"""Sites beside a simulation: which homes can be compared, and where their rewards go."""

import pytest

from segue.errors import InputError
from segue.files import write_json
from workloads.simulation.rivals.sites import sites_of, with_sites

DRIFT = {"drift": "genre", "drift_day": 30}
STATE = {"log": "abc", "drift": DRIFT}


def simulated(folder, kinds=("watch", "wait"), rewards=(4.0, 3.0), **changed):
    """A home that has simulated days, at whose ends its loop did something. Its oracle has 5."""
    days = [
        {"day": 28 + number, "policies": {"loop": reward, "oracle": 5.0}, "actions": [{"kind": kind}]}
        for number, (reward, kind) in enumerate(zip(rewards, kinds, strict=True))
    ]
    (folder / "simulation").mkdir(parents=True)
    write_json(folder / "simulation/state.json", {**STATE, **changed, "days": days})
    return folder


def test_a_site_has_its_folders_name_and_its_share_of_the_oracle(tmp_path):
    homes = [
        simulated(tmp_path / "never", rewards=(4.0, 2.0)),
        simulated(tmp_path / "daily", ("pushed", "pushed"), (4.5, 4.25)),
    ]
    days = [{"day": day, "policies": {"loop": 1.0, "oracle": 10.0}} for day in (28, 29)]
    found = with_sites(days, sites_of(STATE, homes, 2))
    assert [day["policies"]["never"] for day in found] == pytest.approx([8.0, 4.0])
    assert [day["policies"]["daily"] for day in found] == pytest.approx([9.0, 8.5])
    assert "never" not in days[0]["policies"]  # the simulation keeps its own


@pytest.mark.parametrize(
    ("kind", "idle"), [("wait", True), ("pushed", False), ("refused", False), ("worse model", False)]
)
def test_a_site_is_idle_if_nothing_was_trained_in_the_days_that_are_compared(tmp_path, kind, idle):
    home = simulated(tmp_path / "home", ("wait", kind, "pushed"), (4.0, 4.0, 4.0))
    (site,) = sites_of(STATE, [home], 2)
    assert site.idle is idle


@pytest.mark.parametrize(
    ("folder", "changed", "message"),
    [
        ("other", {"log": "xyz"}, r"began with the same log. That of .*other is another"),
        ("other", {"drift": {}}, r"same drift. .*other has no drift, and this home has the drift genre from day 30"),
        ("oracle", {}, r"which no other column has. oracle is one"),
        ("pages", {}, r"which no other column has. pages is one"),
        ("short", {"kinds": ("wait",), "rewards": (4.0,)}, r"short has 1 of 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, folder, changed, message):
    home = simulated(tmp_path / folder, **changed)
    with pytest.raises(InputError, match=message):
        sites_of(STATE, [home], 2)


def test_a_home_without_simulated_days_and_a_second_site_of_a_name_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"There are none in .*empty"):
        sites_of(STATE, [tmp_path / "empty"], 2)
    with pytest.raises(InputError, match=r"which no other column has. site is one"):
        sites_of(STATE, [simulated(tmp_path / name / "site") for name in ("a", "b")], 2)
