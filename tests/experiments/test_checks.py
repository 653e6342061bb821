"""What a scorecard checks, and its slices, on sums made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.checks import LEAST_SLICE, checks, sliced
from experiments.definition import parse
from experiments.metrics.sums import UnitSums
from experiments.statistics.effects import Sums
from tests.support.experiments import definition

UNITS = 4000
DEFINITION = parse(definition(metrics={"success": {"play_rate": 0.02}}))


def made(plays, before=None, country=None, lost=None, seed=0) -> UnitSums:
    """Sums of listeners of whom every second is treated, with so many plays more than chance in 10 impressions."""
    rng = np.random.default_rng(seed)
    arm, shown = np.arange(UNITS) % 2, np.full(UNITS, 10.0)
    of_metric = Sums(rng.binomial(10, 0.3, UNITS) + plays, shown, rng.binomial(10, 0.3, UNITS) + np.zeros(UNITS), shown)
    if before is not None:
        of_metric = replace(of_metric, before_numerator=of_metric.before_numerator + before)
    countries = np.full(UNITS, "SE") if country is None else country
    loss = Sums(np.zeros(UNITS) if lost is None else lost, shown)
    return UnitSums(
        ("control", "treatment"), arm, arm * 0, {"play_rate": of_metric}, {"country": countries}, 0, 0, (arm, loss), {}
    )


TREATED = np.arange(UNITS) % 2
COUNTRY = np.array(["SE", "NO", "US", "DK"])[np.arange(UNITS) // 2 % 4]


def test_checks_hold_where_nothing_is_broken():
    assert min(checks(DEFINITION, made(0.0)).values()) > 0.001


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("exposure_loss", made(0.0, lost=TREATED * 1.0)),
        ("pre_period", made(0.0, before=TREATED * 0.5)),
        ("sample_ratio", replace(made(0.0), arm=np.minimum(TREATED, np.arange(UNITS) % 3))),
    ],
)
def test_a_broken_comparison_fails_one_check(name, broken):
    failed = {check for check, p in checks(DEFINITION, broken).items() if p < 0.001}
    assert failed == {name}


def test_a_check_with_nothing_to_compare_holds():
    few = UnitSums(
        ("control", "treatment"), np.array([0, 0, 0, 1]), np.zeros(4), {}, {}, 0, 0,
        (np.array([0, 0, 0, 1]), Sums(np.zeros(4), np.ones(4))), {"play_rate": "no column"},
    )  # fmt: skip
    found = checks(DEFINITION, few)
    assert (found["exposure_loss"], found["pre_period"]) == (1.0, 1.0)


def test_a_slice_in_which_the_effect_differs_is_found_and_the_others_are_not():
    rows = sliced(DEFINITION, made(TREATED * np.where(COUNTRY == "NO", 1.0, 0.2), country=COUNTRY))
    assert {row["value"] for row in rows} == {"SE", "NO", "US", "DK"}
    assert min(rows, key=lambda row: row["p_same"])["value"] == "NO"
    differs = next(row for row in rows if row["value"] == "NO")
    assert differs["p_same"] < 0.001
    assert differs["difference"] == pytest.approx(0.1, abs=0.03)
    assert differs["units"] == UNITS / 4


def test_slices_of_all_columns_are_corrected_together():
    one = made(TREATED * np.where(COUNTRY == "NO", 0.6, 0.2), country=COUNTRY, seed=3)
    alone = {row["value"]: row["p_same"] for row in sliced(DEFINITION, one)}
    rng = np.random.default_rng(1)
    three = replace(one, slices={**one.slices, "plan": rng.choice(["free", "paid"], UNITS)})
    together = {row["value"]: row["p_same"] for row in sliced(DEFINITION, three) if row["column"] == "country"}
    assert min(alone.values()) < 1
    assert together[min(alone, key=alone.get)] == pytest.approx(min(alone.values()) * 6 / 4)


def test_a_slice_of_few_listeners_is_not_shown():
    country = np.where(np.arange(UNITS) < 2 * LEAST_SLICE - 2, "NO", "SE")
    assert {row["value"] for row in sliced(DEFINITION, made(0.0, country=country))} == {"SE"}
