"""Definitions: what YAML may say, and errors that name the path in the YAML."""

from pathlib import Path

import pytest

from experiments.definition import parse, read
from segue.errors import InputError
from tests.support.experiments import definition

CONTROL = {"name": "control", "share": 0.5}


@pytest.mark.parametrize(
    ("parts", "headline", "fix"),
    [
        ({"metrics": {"success": {"play_rat": 0.02}}}, "metrics.success.play_rat", "metrics.success.play_rate"),
        ({"metrics": {"success": {"plays": 0.1}, "deterioration": ["plays"]}}, "one role", "one of the sections"),
        ({"arms": [CONTROL, {"name": "b", "share": 0.6}]}, "arms must be arms whose shares sum to 1", "Correct arms"),
        ({"arms": [CONTROL, {"name": "b", "share": 1.5}]}, "arms[1].share must be less than or equal to 1", "arms[1]"),
        ({"arms": [CONTROL, CONTROL]}, "different names", "Correct arms"),
        ({"share": [0.5, 0.2]}, "share must be a list of rising shares", "Correct share"),
        ({"share": [0.9], "layer": {"name": "home", "holdback": 0.2}}, "at most 100 % of a layer", "Lower one"),
        ({"layer": {"name": "Home!"}}, "layer.name must match pattern", "Correct layer.name"),
        ({"arms": [{**CONTROL, "shar": 1}, CONTROL]}, "arms[0].shar", "arms[0].share"),
        ({"plan": {"loks": 3}}, "plan.loks", "plan.looks"),
        ({"overrides": {"u1": "treatmen"}}, "overrides.u1: treatmen", "treatment"),
        ({"metrics": {"success": {}}}, "metrics.success must have at least 1 item", "Correct"),
    ],
)
def test_an_error_names_the_path_and_the_fix(parts, headline, fix):
    with pytest.raises(InputError) as refused:
        parse(definition(**parts))
    assert headline in refused.value.headline
    assert fix in refused.value.fix


def test_a_definition_is_the_same_after_its_json():
    made = parse(definition(share=[0.1, 0.5], eligible={"country": ["SE"]}, overrides={"u1": "treatment"}))
    assert parse(made.to_dict()) == made


def test_the_parameters_that_differ_between_arms_are_what_changes():
    arms = [
        {"name": "a", "share": 0.5, "parameters": {"home.rows": 6, "home.policy": "v1"}},
        {"name": "b", "share": 0.5, "parameters": {"home.rows": 6, "home.policy": "v2"}},
    ]
    assert parse(definition(arms=arms)).changed == {"home.policy"}


def test_the_example_of_the_documentation_is_a_definition():
    example = read(Path(__file__).resolve().parents[2] / "docs" / "example" / "experiment.yaml")
    assert example.control.name == "control"
    assert example.changed == {"home.weights.new_releases"}


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "e.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "e.yaml")
