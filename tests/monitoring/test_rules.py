"""The rules in a YAML file."""

import dataclasses
from pathlib import Path

import pytest

from monitoring.rules import Rules, read
from segue.errors import InputError

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/example/retraining.yaml"


def test_the_example_has_every_rule_with_its_default():
    assert read(EXAMPLE) == Rules()
    assert all(f"{field.name}:" in EXAMPLE.read_text() for field in dataclasses.fields(Rules))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("window: {cause: 1}", "Did you mean windows"),
        ("windows: {gossip: 1}", "The names in windows are 'cause', .* or 'guardrail'. Received 'gossip'."),
        ("windows: {cause: 99999999999999999999}", "less than or equal to 36500"),
        ("windows: {cause: 0}", "greater than or equal to 1"),
        ("schedule_days: 0", "greater than 0"),
        ("a_week: two", "a_week"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(tmp_path, text, said):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read(path)
