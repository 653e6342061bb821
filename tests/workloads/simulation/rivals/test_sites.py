"""Sites beside a simulation: which homes can be compared, and where their rewards go."""

import pytest

from segue.errors import InputError
from segue.files import write_json
from segue.settings import Home
from workloads.simulation.rivals.sites import Site, with_sites

DRIFT = {"drift": "genre", "drift_day": 30}


def simulated(folder, kinds=("watch", "wait"), rewards=(4.0, 3.0), log="abc", drift=DRIFT):
    """A home that has simulated days, at whose ends its loop did something."""
    days = [
        {"day": 28 + number, "policies": {"loop": reward, "oracle": 5.0}, "actions": [{"kind": kind}]}
        for number, (reward, kind) in enumerate(zip(rewards, kinds, strict=True))
    ]
    (folder / "simulation").mkdir(parents=True)
    write_json(folder / "simulation/state.json", {"log": log, "drift": drift, "days": days})
    return folder


@pytest.fixture
def home(tmp_path):
    return Home(simulated(tmp_path / "home"))


def test_a_site_has_its_folders_name_and_the_rewards_of_its_loop(home, tmp_path):
    never = Site.of(home, simulated(tmp_path / "never", rewards=(4.0, 2.0)), 2)
    daily = Site.of(home, simulated(tmp_path / "daily", ("pushed", "pushed"), (4.5, 4.25)), 2)
    assert (never.name, never.idle, daily.idle) == ("never", True, False)
    days = [{"day": day, "policies": {"loop": 1.0}} for day in (28, 29)]
    assert [day["policies"] for day in with_sites(days, [never, daily])] == [
        {"loop": 1.0, "never": 4.0, "daily": 4.5},
        {"loop": 1.0, "never": 2.0, "daily": 4.25},
    ]
    assert days[0]["policies"] == {"loop": 1.0}  # the simulation keeps its own


@pytest.mark.parametrize(
    ("folder", "changed", "message"),
    [
        ("other", {"log": "xyz"}, r"same imported log. .*other has xyz, and this home has abc"),
        ("other", {"drift": {}}, r"same change. .*other has none, and this home has .*genre"),
        ("oracle", {}, r"its name. oracle is one already"),
        ("short", {"kinds": ("wait",), "rewards": (4.0,)}, r"short has 1 of 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(home, tmp_path, folder, changed, message):
    with pytest.raises(InputError, match=message):
        Site.of(home, simulated(tmp_path / folder, **changed), 2)


def test_a_home_without_simulated_days_is_refused(home, tmp_path):
    with pytest.raises(InputError, match=r"There are none in .*empty"):
        Site.of(home, tmp_path / "empty", 2)
