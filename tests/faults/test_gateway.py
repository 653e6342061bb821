"""The gateway and what it stands on are killed under load: nothing acknowledged is lost, and nothing counts twice."""

import pytest

from tests.faults.gateway_rounds import plan, run_rounds
from tests.faults.gateway_stack import GATEWAY, JOURNAL, MODELS, ONLINE, STORE, VICTIMS

ROUNDS = [("cluster", STORE), ("cluster", GATEWAY), ("embedded", ONLINE), ("embedded", JOURNAL), ("embedded", MODELS)]


def test_a_plan_draws_every_victim_and_keeps_the_profiles_together():
    drawn = plan(100, 1)
    assert drawn == plan(100, 1) != plan(100, 2)
    assert {profile: {v for p, v in drawn if p == profile} for profile in VICTIMS} == {
        profile: set(victims) for profile, victims in VICTIMS.items()
    }
    assert [profile for profile, _ in drawn] == sorted(profile for profile, _ in drawn)


@pytest.mark.slow
@pytest.mark.usefixtures("default_signals")
def test_a_killed_part_costs_no_acknowledged_event_and_at_most_one_retry(trained, tmp_path):
    done = list(run_rounds(ROUNDS, 1, trained.home, tmp_path))
    assert len(done) == len(ROUNDS)
    for each in done:
        assert not each.wrong, (each.profile, each.victim, each.wrong)
        assert len(each.ledger.events) > 10
