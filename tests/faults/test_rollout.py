"""Promotions and rollbacks under load, a few; `python -m tests.faults rollout` runs more."""

import pytest

from tests.faults.rollout_rounds import run_rounds


@pytest.mark.slow
@pytest.mark.usefixtures("default_signals")
def test_a_promotion_and_a_rollback_under_load_fail_no_call_and_mix_no_versions(rollout_home):
    found = run_rounds(rollout_home, 4, 400, lambda line: None)
    assert not [sentence for sentence in found.wrong if not sentence.startswith("rollback")]
    assert (found.promotions, [how for how, _ in found.back]) == (2, ["", "lock"])
    assert max(seconds for _, seconds in found.back) < 5  # the tests share the machine
    assert set(found.answered) == {"gateway", "stable", "canary", "unlabelled", "pinned"}
