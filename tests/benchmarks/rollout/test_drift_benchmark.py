"""The drift benchmark: its peers, its decisions, and one world."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from benchmarks.rollout import drift_benchmark
from benchmarks.rollout.drift_benchmark import RULES, SEGUE, WEEKLY, decided, noticed, targets
from benchmarks.rollout.drift_peers import PEERS, ks_bonferroni, rate_before
from monitoring.report import Check, Report
from monitoring.retraining import Decision
from segue.verdict import Verdict

AT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def reports(*failed: str | None) -> list[Report]:
    """Reports of days, in which a check of a cause failed or none did."""
    made = []
    for number, cause in enumerate(failed):
        end = AT + number * DAY
        response = "alert" if cause == "outage" else "retrain"
        check = Check(str(cause), "cause", response, Verdict(cause is None, f"{cause}."))
        made.append(Report((end - 15 * DAY, end - DAY), (end - DAY, end), (check,), cause, f"{cause}."))
    return made


def test_two_failed_windows_retrain_and_an_outage_holds():
    instants = [AT + number * DAY for number in range(4)]
    actions = [each.action for each in decided(reports(None, "genre", "genre", "genre"), RULES[SEGUE], instants)]
    assert actions == ["wait", "wait", "retrain", "wait"]  # the last one is in the cool-down
    actions = [each.action for each in decided(reports(None, "outage", "outage"), RULES[SEGUE], instants[:3])]
    assert actions == ["wait", "hold", "hold"]


def test_weekly_retrains_by_its_schedule_alone():
    instants = [AT + number * DAY for number in range(15)]
    made = decided([], RULES[WEEKLY], instants)
    assert [n for n, each in enumerate(made) if each.action == "retrain"] == [0, 7, 14]
    assert {each.cause for each in made if each.action == "retrain"} == {"schedule"}


def decision(action: str, cause: str | None) -> Decision:
    """A decision."""
    return Decision(AT, action, "It is so.", cause)


@pytest.mark.parametrize(
    ("decisions", "figures"),
    [
        ([("wait", "genre"), ("retrain", "genre")], (True, True, True)),
        ([("retrain", "behaviour")], (True, False, True)),
        ([("hold", "outage")], (True, False, False)),
        ([("retrain", "schedule")], (False, False, True)),
        ([("wait", None)] * 3 + [("retrain", "genre")], (False, False, True)),  # too late
    ],
)
def test_a_change_is_noticed_by_a_decision_in_time(decisions, figures):
    made = noticed([decision(*each) for each in decisions], "genre")
    assert (made["noticed"], made["cause"], made["retrained"]) == figures


def test_kolmogorov_and_smirnov_see_another_mean_and_not_the_same_one():
    rng = np.random.default_rng(0)
    older, same, moved = (pd.DataFrame({"x": rng.normal(mean, 1, 500)}) for mean in (0, 0, 0.5))
    assert not ks_bonferroni(older, same)
    assert ks_bonferroni(older, moved)


def test_a_rate_knows_the_days_before_only():
    key, day = pd.Series(["a", "a", "a", "b"]), pd.Series([0, 0, 1, 1])
    assert rate_before(key, day, pd.Series([1.0, 1.0, 0.0, 1.0])).tolist() == [0.25, 0.25, 3 / 6, 0.25]


@pytest.mark.slow
def test_a_small_run_measures_all_contestants(monkeypatch):
    monkeypatch.setattr(drift_benchmark, "QUIET_WINDOWS", 2)
    result = drift_benchmark.run(1, lambda _: None)
    assert result["quiet"].keys() == result["planted"].keys() == {SEGUE, *PEERS, WEEKLY, "never"}
    assert all(result["planted"][SEGUE][drift]["cause"] == 1 for drift in result["planted"][SEGUE])
    assert all(each["holds"] for each in targets(result).values())


def test_the_targets_are_those_of_the_worst_quiet_world_and_of_nineteen_in_twenty():
    planted = {drift: {"cause": 19, "retrained": 0} for drift in ("genre", "catalogue", "behaviour")}
    planted |= {"outage": {"cause": 18, "retrained": 1}}
    quiet = [{"decisions": 3}, {"decisions": 0}]
    held = targets({"quiet": {SEGUE: quiet}, "planted": {SEGUE: planted}, "worlds": 20})
    assert [name for name, each in held.items() if not each["holds"]] == ["outage_noticed", "outage_retrained"]
