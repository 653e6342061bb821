"""From a log with a planted effect to the verdict: found, blocked by a guardrail, harm, lost exposures, nothing."""

import re
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import norm, t

from experiments import verdicts
from experiments.definition import parse
from experiments.metrics.sums import UnitSums
from experiments.planning import outlook
from experiments.registry import Registry
from experiments.reporting import report
from experiments.scorecard import Row, Scorecard, information_now, information_shares, score
from experiments.statistics.effects import Sums
from segue.errors import InputError
from tests.experiments.conftest import DAYS, PLAN
from tests.support.experiments import definition

WEEK = timedelta(days=DAYS)


@pytest.fixture
def registry(tmp_path, started) -> Registry:
    made = Registry(tmp_path / "experiments")
    made.start(parse(definition(plan=PLAN)), started, "me")
    return made


@pytest.mark.parametrize(
    ("planted", "verdict", "reason"),
    [
        ("lift", "ship", "play_rate improved in treatment.*1 of 1 guardrails hold"),
        ("lift_and_skips", "stop", "skip_rate got worse in treatment"),
        ("harm", "stop", "play_rate got worse in treatment"),
        ("nothing", "stop", "planned end is reached"),
        ("lost", "invalid", "other numbers of listeners than their shares say"),
        ("rows_lost", "invalid", "lose different shares of their exposures"),
    ],
)
def test_what_is_planted_is_found(registry, open_planted, started, planted, verdict, reason):
    card = report(registry, "more-new", open_planted(planted), started + WEEK).card
    assert card["verdict"] == verdict
    assert re.search(reason, card["reason"])


def test_the_planted_lift_is_within_the_interval(registry, open_planted, started):
    from benchmarks.experiments.listeners import true_difference

    card = report(registry, "more-new", open_planted("lift"), started + WEEK).card
    row = next(row for row in card["rows"] if row["metric"] == "play_rate")
    assert row["low"] <= true_difference(0.35) <= row["high"]
    assert row["variance_removed"] > 0.1


def test_looks_are_recorded_and_the_planned_end_is_the_last(registry, open_planted, started):
    log = open_planted("lift")
    for day in (2, 4, DAYS):
        report(registry, "more-new", log, started + timedelta(days=day))
    state = registry.get("more-new")
    assert [look["look"] for look in state.looks] == [1, 2, 3]
    spent = [look["alpha_spent"] for look in state.looks]
    assert spent[0] < spent[1] < spent[2] == pytest.approx(1.0)
    again = report(registry, "more-new", log, started + 2 * WEEK)
    assert again.card == state.looks[-1]
    assert len(registry.get("more-new").looks) == 3


def test_an_experiment_that_was_stopped_keeps_its_scorecard(registry, open_planted, started):
    log = open_planted("lift")
    first = report(registry, "more-new", log, started + timedelta(days=3)).card
    registry.stop("more-new", "stop", "Enough.", "me", started + timedelta(days=3))
    assert report(registry, "more-new", log, started + WEEK).card["at"] == first["at"]


def test_an_experiment_that_nobody_looked_at_is_read_until_its_stop(registry, open_planted, started):
    stopped = started + timedelta(days=3)
    registry.stop("more-new", "invalid", "It was broken.", "me", stopped)
    read = report(registry, "more-new", open_planted("lift"), started + WEEK)
    assert read.card["at"] == stopped.isoformat()
    assert registry.get("more-new").looks == ()  # an ended experiment gets no record


def test_a_plan_says_listeners_and_days(open_planted, started):
    result = outlook(parse(definition(plan=PLAN)), open_planted("nothing"), started)
    needs = {each.metric: each for each in result.needs}
    assert needs.keys() == {"play_rate", "skip_rate"}
    assert result.units == max(each.units for each in needs.values())
    assert needs["play_rate"].value == pytest.approx(0.2, abs=0.03)
    half = {"success": {"play_rate": 0.04}, "guardrails": {"skip_rate": 0.02}}
    smaller = outlook(parse(definition(plan=PLAN, metrics=half)), open_planted("nothing"), started)
    assert smaller.needs[0].units == pytest.approx(needs["play_rate"].units / 4, rel=0.03)


def test_a_plan_asks_no_listeners_of_a_guardrail_that_never_happens(open_planted, started):
    metrics = {"success": {"play_rate": 0.02}, "guardrails": {"fallback_share": 0.5}}
    result = outlook(parse(definition(plan=PLAN, metrics=metrics)), open_planted("nothing"), started)
    (success, never) = result.needs
    assert (never.value, never.units, result.units) == (0.0, 0, success.units)


def test_a_plan_of_a_small_share_counts_parts_of_listeners_a_day(open_planted, started):
    result = outlook(parse(definition(plan=PLAN, share=[1e-4])), open_planted("nothing"), started)
    assert result.days == pytest.approx(result.units / (1e-4 * result.seen / DAYS), rel=0.01)


def test_a_plan_of_a_switchback_counts_blocks(open_planted, started):
    planned = parse(definition(plan=PLAN, unit="time_block", block_hours=6, share=[0.5]))
    result = outlook(planned, open_planted("nothing"), started)
    assert result.seen == DAYS * 24 / 6
    assert {each.variance_removed for each in result.needs} == {0.0}  # a block has no days before
    # Some hundred listeners share a block, so their chances even out: far fewer blocks than listeners are needed.
    listeners = outlook(parse(definition(plan={**PLAN, "pre_days": 0})), open_planted("nothing"), started)
    assert 0 < result.units < listeners.units / 10
    # Four blocks a day, also for half of the layer's listeners.
    assert result.days == pytest.approx(result.units / 4, abs=1)


def test_a_plan_without_listeners_is_refused(open_planted, started):
    with pytest.raises(InputError, match="needs impressions of several listeners"):
        outlook(parse(definition(plan=PLAN)), open_planted("nothing"), started - timedelta(days=100))


def test_information_is_that_of_the_days_or_of_fewer_listeners():
    plan = parse(definition(plan={"units": 1000, "days": 10}))
    assert information_now(plan, 500, timedelta(days=8)) == 0.5
    assert information_now(plan, 2000, timedelta(days=8)) == 0.8
    assert information_now(parse(definition(plan={"days": 10})), 3, timedelta(days=5)) == 0.5
    assert information_shares([{"information": 0.3}, {"information": 0.2}], 1.4) == (0.3, 0.3, 1.0)


def row(**parts) -> Row:
    plain = {
        "metric": "play_rate",
        "role": "success",
        "arm": "treatment",
        "higher_is_better": True,
        "control": 1.0,
        "treatment": 1.1,
        "difference": 0.1,
        "low": 0.05,
        "high": 0.15,
        "lift": 0.1,
        "lift_low": 0.05,
        "lift_high": 0.15,
        "z": 4.0,
        "critical": 2.0,
        "improved": False,
        "worse": False,
        "margin": None,
        "non_inferior": False,
        "variance_removed": 0.0,
    }
    return Row(**{**plain, **parts})


def guardrail(**parts) -> Row:
    return row(**{"metric": "skip_rate", "role": "guardrail", "margin": 0.02, **parts})


def rare(control, treatment, higher_is_better=False) -> Row:
    """A guardrail that hardly ever happens: its margin is a share of nearly nothing."""
    values = {"control": control, "treatment": treatment, "higher_is_better": higher_is_better}
    return guardrail(metric="errors", lift=None, **values)


def card(*rows, **parts) -> Scorecard:
    plain = {
        "experiment": "more-new",
        "look": 1,
        "at": "",
        "method": "group_sequential",
        "units": {"control": 500, "treatment": 500},
        "information": 0.5,
        "alpha_spent": 0.1,
        "rows": rows,
        "checks": {"sample_ratio": 0.5},
        "mixed": 0,
        "misassigned": 0,
    }
    return Scorecard(**{**plain, **parts})


@pytest.mark.parametrize(
    ("made", "verdict", "word"),
    [
        (card(row(improved=True), guardrail(non_inferior=True)), "ship", "improved"),
        (card(row(improved=True), guardrail()), "keep going", "not yet shown"),
        (card(row(improved=True), guardrail(), information=1.0), "stop", "was not shown to stay within its margin"),
        (
            card(row(improved=True), rare(0.0, 0.0), information=1.0),
            "ship",
            "1 of 1 guardrails hold; errors never happened in treatment, so fewer than 3 in 500 listeners meet it",
        ),
        (card(row(improved=True), rare(0.01, 0.0), information=1.0), "ship", "errors never happened in treatment"),
        (card(row(improved=True), rare(0.0, 0.01), information=1.0), "stop", "errors was not shown to stay within"),
        (card(row(improved=True), rare(0.0, 0.0), guardrail(), information=1.0), "stop", "skip_rate was not shown"),
        (card(row(improved=True), rare(0.0, 0.0, True), information=1.0), "ship", "errors never happened in control"),
        (card(row(improved=True), rare(0.0, 0.0), information=0.9), "keep going", "errors is not yet shown"),
        (card(row(improved=True), guardrail(worse=True)), "stop", "skip_rate got worse"),
        (card(row(improved=True), guardrail(worse=True, non_inferior=True)), "ship", "improved"),
        (card(row(), guardrail(non_inferior=True)), "keep going", "No success metric has improved yet"),
        (card(row(), guardrail(), information=1.2), "stop", "no success metric improved"),
        (card(row(improved=True), row(metric="plays", role="deterioration", worse=True)), "stop", "plays got worse"),
        (card(row(improved=True), row(metric="fallback_share", role="quality", worse=True)), "ship", "improved"),
        (card(row(improved=True), checks={"sample_ratio": 1e-4}), "invalid", "other numbers of listeners"),
        (card(row(improved=True), checks={"pre_period": 1e-4}), "invalid", "before the experiment began"),
        (card(row(improved=True), misassigned=50), "invalid", "another arm than their bucket's"),
        (card(row(improved=True), mixed=50), "invalid", "more than one arm"),
        (card(row(improved=True), unmeasured={"skip_rate": "no column"}), "invalid", "cannot be measured: no column"),
    ],
)
def test_the_rule(made, verdict, word):
    advice = verdicts.advise(parse(definition()), made)
    assert advice.verdict == verdict
    assert word in advice.reason
    assert advice.arm == ("treatment" if verdict == "ship" else None)


def test_of_several_arms_the_one_that_ships_is_named():
    arms = [{"name": name, "share": share} for name, share in (("control", 0.5), ("a", 0.25), ("b", 0.25))]
    three = parse(definition(arms=arms))
    made = card(row(arm="a", worse=True), row(arm="b", improved=True))
    assert verdicts.advise(three, made).arm == "b"
    assert verdicts.advise(three, card(row(arm="a", worse=True), row(arm="b"))).verdict == "keep going"
    assert verdicts.advise(three, card(row(arm="a", worse=True), row(arm="b", worse=True))).verdict == "stop"


def test_a_changed_salt_is_seen_in_the_log(open_planted, started):
    from experiments.assignment.assign import Running
    from experiments.metrics.catalogue import CATALOGUE
    from experiments.metrics.sums import unit_sums

    changed = Running(parse(definition(plan=PLAN, salt="another")), ((0, 10_000),))
    sums = unit_sums(open_planted("lift"), changed, [CATALOGUE["play_rate"]], started, started + WEEK)
    made = score(changed.definition, sums, started, started + WEEK)
    assert "another arm than their bucket's" in verdicts.advise(changed.definition, made).reason


def test_a_switchback_of_few_blocks_has_wider_intervals_than_as_many_listeners(started):
    blocks = 12
    rng = np.random.default_rng(0)
    arm = np.arange(blocks) % 2
    plays = Sums(100 + 10 * arm + rng.normal(0, 5, blocks), np.full(blocks, 500.0))
    parts = definition(metrics={"success": {"play_rate": 0.02}}, plan={"days": 3})
    cards = []
    for unit in ("time_block", "user_id"):
        switchback = parse({**parts, "unit": unit})
        sums = UnitSums(("control", "treatment"), arm, arm * 0, {"play_rate": plays}, {}, 0, 0, (arm, plays), {})
        cards.append(score(switchback, sums, started, started + timedelta(days=3)).rows[0])
    assert cards[0].difference == cards[1].difference
    assert cards[0].critical == pytest.approx(t.isf(norm.sf(cards[1].critical), 10), rel=0.05)
    assert cards[0].high - cards[0].low > cards[1].high - cards[1].low


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", ["time_block", "user_id"])
@pytest.mark.parametrize("arm", [[0, 1, 1], [0, 0, 0]])
def test_an_arm_of_one_unit_or_none_has_no_bound(started, unit, arm):
    arm = np.array(arm)
    before = (np.array([1.0, 2, 5]), np.ones(3)) if unit == "user_id" else ()
    plays = Sums(np.array([1.0, 2, 4]), np.ones(3), *before)
    parsed = parse(definition(unit=unit, metrics={"success": {"play_rate": 0.02}}, plan={"days": 3}))
    sums = UnitSums(("control", "treatment"), arm, arm * 0, {"play_rate": plays}, {}, 0, 0, (arm, plays), {})
    made = score(parsed, sums, started, started + timedelta(days=3))
    ends = made.rows[0]
    assert (ends.critical, ends.low, ends.high) == (np.inf, -np.inf, np.inf)
    assert (ends.control, ends.treatment) == ((1.0, 3.0) if arm.any() else (pytest.approx(7 / 3), 0.0))
    assert (ends.lift_low, ends.lift_high, ends.variance_removed) == (None, None, 0.0)
    assert (ends.improved, ends.worse) == (False, False)
    assert verdicts.advise(parsed, made).verdict == "stop"
