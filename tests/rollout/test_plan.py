"""The plan in a file: what it may say, and the errors about the rest."""

import re
from pathlib import Path

import pytest

from rollout.plan import Plan, read
from segue.errors import InputError


def test_a_file_replaces_what_it_names(tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text("stages: [0.1, 0.5]\nmargins: {reward: 0.02, skips: 0.1}\n")
    plan = read(path)
    assert (plan.stages, plan.margins) == ((0.1, 0.5), {"reward": 0.02, "skips": 0.1})
    assert plan.stage_hours == Plan().stage_hours


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("stages: [0.1, 0.6]", "stages must be a list of rising shares of the listeners, at most 0.5"),
        ("stages: [0.5, 0.1]", "stages must be a list of rising shares"),
        ("stages: []", "stages must be a list of rising shares"),
        ("stage_hours: 0", "stage_hours must be greater than 0"),
        ("margins: {reward: 0.05}", "margins must be a margin for each of reward, skips"),
        ("alpha: 0.95", "alpha must be less than 0.5"),
        ("least_listeners: 1", "least_listeners must be greater than or equal to 2"),
        ("steps: [0.1]", "no setting 'steps'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, headline):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=headline):
        read(path)


def test_the_page_shows_the_default_plan(tmp_path):
    page = Path(__file__).resolve().parents[2] / "docs" / "rollout.md"
    path = tmp_path / "plan.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[1])
    assert read(path) == Plan()
