"""The arms of a request: who is assigned, what the surface reads, and when the records are read again."""

from datetime import UTC, datetime, timedelta

import pytest

from experiments.definition import parse
from experiments.registry import Registry
from segue.errors import InputError
from surfaces.arms import NO_ARMS, Experiments
from surfaces.parameters import KNOWN, check_arms
from surfaces.request import Request
from tests.support.experiments import definition

AT = datetime(2026, 3, 2, tzinfo=UTC)


def arms(*parameters):
    return [
        {"name": f"arm{number}", "share": 1 / len(parameters), "parameters": each}
        for number, each in enumerate(parameters)
    ]


def start(folder, **parts):
    Registry(folder).start(parse(definition(**parts)), AT, "me")


def of(experiments, surface="home", user="u1", features=None, **request):
    return experiments.arms(surface, Request(user, AT, **request), features or {})


@pytest.fixture
def experiments(tmp_path) -> Experiments:
    return Experiments(tmp_path / "experiments")


def test_an_arm_sets_the_parameters_of_its_surface_alone(experiments, tmp_path):
    start(tmp_path / "experiments", arms=arms({"home.rows": 3, "now_playing.calibrated": False}, {"home.rows": 3}))
    experiments.refresh()
    users = [f"u{number}" for number in range(20)]
    given = {of(experiments, user=user).assignments[0].arm for user in users}
    assert given == {"arm0", "arm1"}
    for user in users:
        home, playing, new = (of(experiments, surface, user) for surface in ("home", "now_playing", "new_releases"))
        assert home.parameters == {"rows": 3}
        assert playing.parameters == ({"calibrated": False} if playing.assignments[0].arm == "arm0" else {})
        # Home is the same in both arms, and so is a list of new releases: naming the arms would dilute the effect.
        assert (home.logged, new.logged) == ({}, {})
        assert playing.logged == {"more-new": playing.assignments[0].arm}


def test_what_the_request_sets_no_arm_changes(experiments, tmp_path):
    start(tmp_path / "experiments", arms=arms({"home.rows": 3}, {"home.rows": 4}))
    experiments.refresh()
    assert of(experiments).logged
    fixed = of(experiments, fixed=frozenset({"home.rows"}))
    assert (fixed.parameters, fixed.logged) == ({}, {})


def test_listeners_and_contexts_that_are_not_eligible_have_no_arm(experiments, tmp_path):
    start(tmp_path / "experiments", eligible={"country": ["SE"], "surface": ["home"]})
    experiments.refresh()
    assert of(experiments, features={"country": "SE"}).logged
    for features in ({"country": "NO"}, {}):
        assert not of(experiments, features=features).assignments
    assert not of(experiments, "now_playing", features={"country": "SE"}).assignments


def test_records_are_read_when_they_change_and_not_for_each_request(experiments, tmp_path, monkeypatch):
    folder = tmp_path / "experiments"
    reads = []
    read = Registry.running
    monkeypatch.setattr(Registry, "running", lambda registry: reads.append(1) or read(registry))
    experiments.refresh()
    assert of(experiments) is NO_ARMS
    start(folder)
    experiments.refresh()
    for _ in range(3):
        experiments.refresh()
        assert of(experiments).assignments
    assert len(reads) == 1
    Registry(folder).stop("more-new", "stop", "Enough.", "me", AT + timedelta(days=1))
    experiments.refresh()
    assert (of(experiments), len(reads)) == (NO_ARMS, 2)


@pytest.mark.parametrize("record", ["{", "{}", '{"kind": "change"}'])
def test_damaged_records_leave_the_experiments_as_they_were(experiments, tmp_path, caplog, record):
    start(tmp_path / "experiments")
    experiments.refresh()
    (tmp_path / "experiments" / "more-new" / "0002-look.json").write_text(record, encoding="utf-8")
    experiments.refresh()
    assert of(experiments).assignments
    assert "the experiments stay as they were" in caplog.text


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"arms": arms({}, {"home.wieghts.popular": 1})}, "no parameter 'home.wieghts.popular'"),
        ({"arms": arms({}, {"home.rows": "6"})}, r"arms\[1\].parameters.home.rows must be a valid integer"),
        ({"arms": arms({}, {"home.rows": 0})}, r"arms\[1\], arm1: `rows` is at least 1"),
        ({"arms": arms({}, {"home.columns": 1})}, r"`columns` is at least `fewest_items`"),  # its pages would be empty
        ({"arms": arms({"home.layout.temperature": -1.0}, {})}, "temperature of a layout policy is above 0"),
        ({"arms": arms({"home.exploration.budget": 0.9}, {})}, "exploration budget lies from 0 to 0.5"),
        ({"arms": arms({}, {"home.off": ["populr"]})}, "no part of home.off 'populr'"),
        ({"arms": arms({}, {"home.off": ["explicit"]})}, "no part of home.off 'explicit'"),  # rights are kept
        ({"eligible": {"contry": ["SE"]}}, "no attribute 'contry'"),
    ],
)
def test_what_no_surface_reads_is_refused_before_the_start(parts, text):
    with pytest.raises(InputError, match=text):
        check_arms(parse(definition(**parts)))


def test_every_parameter_may_be_set():
    values = {int: 5, float: 0.2, bool: True, list: []}
    for name, kind in KNOWN.items():
        value = next(values[each] for each in (bool, list, int, float) if each.__name__ in str(kind))
        check_arms(parse(definition(arms=arms({}, {name: value}))))
