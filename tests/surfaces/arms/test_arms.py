"""The arms of a request: who is assigned, what the surface reads, and when the records are read again."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest

from experiments.definition import parse
from experiments.registry import Registry
from segue.errors import InputError
from serving.protocol.config_files import render_config
from surfaces.arms.assigned import NO_ARMS, Experiments, experiments_stamp
from surfaces.arms.parameters import KNOWN, check_arms, check_versions
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


def test_an_arm_sets_the_parameters_of_its_surface_alone(tmp_path):
    start(tmp_path / "experiments", arms=arms({"home.rows": 3, "now_playing.calibrated": False}, {"home.rows": 3}))
    experiments = Experiments.running_in(tmp_path / "experiments")
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


def test_what_the_request_sets_no_arm_changes(tmp_path):
    start(tmp_path / "experiments", arms=arms({"home.rows": 3}, {"home.rows": 4}))
    experiments = Experiments.running_in(tmp_path / "experiments")
    assert of(experiments).logged
    fixed = of(experiments, fixed=frozenset({"home.rows"}))
    assert (fixed.parameters, fixed.logged) == ({}, {})


def test_listeners_and_contexts_that_are_not_eligible_have_no_arm(tmp_path):
    start(tmp_path / "experiments", eligible={"country": ["SE"], "surface": ["home"]})
    experiments = Experiments.running_in(tmp_path / "experiments")
    assert of(experiments, features={"country": "SE"}).logged
    for features in ({"country": "NO"}, {}):
        assert not of(experiments, features=features).assignments
    assert not of(experiments, "now_playing", features={"country": "SE"}).assignments


def test_every_record_changes_the_stamp_by_which_the_gateway_reads_again(tmp_path):
    folder = tmp_path / "experiments"
    stamps = [experiments_stamp(folder)]
    assert of(Experiments.running_in(folder)) is NO_ARMS
    start(folder)
    stamps.append(experiments_stamp(folder))
    assert of(Experiments.running_in(folder)).assignments
    start(folder, overrides={"u9": "treatment"})
    stamps.append(experiments_stamp(folder))
    start(folder, name="second", layer={"name": "other"}, arms=arms({}, {"home.rows": 3}))
    stamps.append(experiments_stamp(folder))
    Registry(folder).stop("more-new", "stop", "Enough.", "me", AT + timedelta(days=1))
    stamps.append(experiments_stamp(folder))
    assert len(set(stamps)) == 5
    assert experiments_stamp(folder) == stamps[-1]
    assert [one.experiment for one in of(Experiments.running_in(folder)).assignments] == ["second"]


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
        ({"arms": arms({}, {"models.rankin": "canary"})}, "no parameter 'models.rankin'"),
        ({"arms": arms({}, {"models.ranking": 0})}, r"models.ranking must be a label such as `canary`, or the number"),
        ({"arms": arms({}, {"models.ranking": ""})}, r"models.ranking must be a label"),
        ({"arms": arms({}, {"models.ranking": True})}, r"models.ranking must be a label"),
        ({"eligible": {"contry": ["SE"]}}, "no attribute 'contry'"),
    ],
)
def test_what_no_surface_reads_is_refused_before_the_start(parts, text):
    with pytest.raises(InputError, match=text):
        check_arms(parse(definition(**parts)))


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ("canry", "no label of ranking 'canry'"),
        (1, "a version with a label.*ranking 1 has none"),
        ("stable", None),
        (3, None),
    ],
)
def test_a_version_that_the_store_does_not_serve_is_refused_before_the_start(tmp_path, choice, text):
    (tmp_path / "models.config").write_text(
        render_config({"ranking": {"stable": 2, "canary": 3}}, str(tmp_path)), encoding="utf-8"
    )
    chosen = parse(definition(arms=arms({}, {"models.ranking": choice})))
    check_arms(chosen)
    with pytest.raises(InputError, match=text) if text else nullcontext():
        check_versions(chosen, tmp_path)


def test_every_parameter_may_be_set():
    values = {int: 5, float: 0.2, bool: True, list: []}
    for name, kind in KNOWN.items():
        value = next(values[each] for each in (bool, list, int, float) if each.__name__ in str(kind))
        check_arms(parse(definition(arms=arms({}, {name: value}))))
