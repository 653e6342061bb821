"""The verdict that every gate returns and saves."""

from dataclasses import FrozenInstanceError

import pytest

from segue.errors import InputError
from segue.verdict import Verdict

VERDICT = Verdict(False, "AUC is 0.4, the limit is 0.5", {"auc": 0.4, "slices": {"home": 0.3}}, {"auc": 0.5})


def test_the_saved_form_has_four_keys_and_reads_back():
    assert list(VERDICT.to_dict()) == ["passed", "reason", "figures", "limits"]
    assert Verdict.from_dict(VERDICT.to_dict()) == VERDICT


def test_other_keys_of_a_saved_verdict_are_ignored():
    assert Verdict.from_dict(VERDICT.to_dict() | {"seconds": 3.0}) == VERDICT


def test_a_saved_verdict_without_a_key_is_refused():
    with pytest.raises(InputError, match="It lacks passed, figures, limits"):
        Verdict.from_dict({"drifted": False, "reason": "No prediction drifted."})


def test_a_verdict_is_frozen():
    with pytest.raises(FrozenInstanceError):
        VERDICT.passed = True
