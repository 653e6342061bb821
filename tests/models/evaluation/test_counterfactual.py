"""Counterfactual estimates computed by hand, and their intervals on synthetic worlds with a known true value."""

import json

import numpy as np
import pytest

from benchmarks.counterfactual import ESTIMATORS, run
from models.evaluation.counterfactual import cross_fitted_means, doubly_robust, ips, snips
from segue.errors import InputError

# Weights 0.5 / 0.25 = 2, 0.5 / 0.5 = 1, 0 / 0.5 = 0 and 1 / 1 = 1.
LOG = {
    "rewards": np.array([1.0, 0.0, 1.0, 1.0]),
    "logged_propensity": np.array([0.25, 0.5, 0.5, 1.0]),
    "target_probability": np.array([0.5, 0.5, 0.0, 1.0]),
    "groups": np.array(["a", "a", "b", "c"]),
    "seed": 0,
}
MODEL = {"predicted": np.full(4, 0.5), "predicted_under_target": np.array([0.5, 0.7, 0.5, 0.7])}


def test_ips_is_the_mean_of_weighted_rewards():
    estimate = ips(**LOG)
    assert estimate.value == pytest.approx((2 + 0 + 0 + 1) / 4)
    assert estimate.effective_sample_size == pytest.approx((2 + 1 + 0 + 1) ** 2 / (4 + 1 + 0 + 1))
    assert estimate.clipped == 0


def test_snips_divides_by_the_weights():
    # A further row of weight 0 changes IPS but not SNIPS, which is 3 / (2 + 1 + 0 + 1).
    assert snips(**LOG).value == pytest.approx(3 / 4)
    rows = ("rewards", "logged_propensity", "target_probability", "groups")
    longer = {name: np.append(LOG[name], LOG[name][2]) for name in rows}
    assert snips(**longer, seed=0).value == pytest.approx(3 / 4)
    assert ips(**longer, seed=0).value == pytest.approx(3 / 5)


def test_doubly_robust_adds_weighted_errors_to_the_model():
    # Model: (0.5 + 0.7 + 0.5 + 0.7) / 4 = 0.6. Errors: (2 * 0.5 - 1 * 0.5 + 0 + 1 * 0.5) / 4 = 0.25.
    assert doubly_robust(**LOG, **MODEL).value == pytest.approx(0.85)


def test_a_model_that_predicts_0_leaves_ips():
    nothing = {"predicted": np.zeros(4), "predicted_under_target": np.zeros(4)}
    assert doubly_robust(**LOG, **nothing) == ips(**LOG)


def test_clipping_cuts_the_large_weights():
    estimate = ips(**LOG, clip=1.5)  # the weight of 2 in one of four rows becomes 1.5
    assert estimate.value == pytest.approx((1.5 + 1) / 4)
    assert estimate.clipped == 0.25
    assert estimate.effective_sample_size == pytest.approx((1.5 + 1 + 1) ** 2 / (1.5**2 + 1 + 1))
    assert snips(**LOG, clip=1.5).value == pytest.approx(2.5 / 3.5)


@pytest.mark.parametrize("estimator", [ips, snips])
def test_the_logging_policy_is_worth_its_mean_reward(estimator):
    estimate = estimator(**{**LOG, "target_probability": LOG["logged_propensity"]})
    assert estimate.value == pytest.approx(0.75)
    assert estimate.effective_sample_size == pytest.approx(4)


@pytest.mark.parametrize("estimator", [ips, snips])
def test_the_interval_reaches_at_least_as_far_as_the_normal_one(estimator):
    # With weights of 1 and one row per group it is the standard error of a mean: of 200 values 0, 1, 0, 1, …
    rewards, ones = np.arange(200) % 2 / 1.0, np.ones(200)
    estimate = estimator(rewards, ones, ones, np.arange(200), seed=0)
    reach = 1.96 * np.std(rewards, ddof=1) / np.sqrt(200)
    assert estimate.high - estimate.value == pytest.approx(estimate.value - estimate.low)
    assert reach * 0.999 <= estimate.high - estimate.value <= reach * 1.1


def test_repeated_rows_of_a_group_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    rewards, target = rng.integers(2, size=60) / 1.0, rng.uniform(0.1, 0.4, 60)
    once = ips(rewards, np.full(60, 0.25), target, np.arange(60), seed=0)
    thrice = [np.repeat(values, 3) for values in (rewards, np.full(60, 0.25), target, np.arange(60))]
    repeated = ips(*thrice, seed=0)
    assert (repeated.value, repeated.low, repeated.high) == pytest.approx((once.value, once.low, once.high))


def test_equal_rewards_give_an_interval_without_width():
    estimate = snips(**{**LOG, "rewards": np.ones(4)})
    assert (estimate.low, estimate.value, estimate.high) == (1, 1, 1)


def test_the_same_seed_gives_the_same_interval():
    assert ips(**LOG) == ips(**LOG)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"logged_propensity": np.array([0.25, 0.0, 0.5, 1])}, "Received 0.0 in row 1", id="propensity 0"),
        pytest.param({"logged_propensity": np.array([0.25, 0.5, 1.5, 1])}, "Received 1.5 in row 2", id="above 1"),
        pytest.param({"logged_propensity": np.array([np.nan, 0.5, 0.5, 1])}, "Received nan in row 0", id="nan"),
        pytest.param({"target_probability": np.array([0.5, -0.1, 0, 1])}, "Received -0.1 in row 1", id="negative"),
        pytest.param({"rewards": np.array([1, 0, np.inf, 1])}, "Received inf in row 2", id="infinite reward"),
        pytest.param({"groups": np.array(["a", "b"])}, r"shape \[2\], 4 rows", id="another length"),
        pytest.param({"groups": np.array(["a"] * 4)}, "two or more", id="one group"),
        pytest.param({"target_probability": np.zeros(4)}, "at least one", id="no overlap"),
        pytest.param({"clip": 0.0}, "above 0", id="clip 0"),
        pytest.param(
            {name: np.zeros(0) for name in ("rewards", "logged_propensity", "target_probability", "groups")},
            "1 or more rows",
            id="empty",
        ),
    ],
)
@pytest.mark.parametrize("estimator", [ips, snips])
def test_an_array_that_breaks_a_rule_is_refused(estimator, change, says):
    with pytest.raises(InputError, match=says) as raised:
        estimator(**{**LOG, **change})
    assert raised.value.fix


@pytest.mark.parametrize("name", ["predicted", "predicted_under_target"])
def test_a_prediction_must_be_finite(name):
    with pytest.raises(InputError, match=f"`{name}` must be finite"):
        doubly_robust(**LOG, **{**MODEL, name: np.array([0.5, np.nan, 0.5, 0.5])})


def test_means_come_from_the_other_half_and_are_shrunk():
    # Groups a and c are one half, b and d the other. The predictions for a and c come from b and d: action 0 earned 1
    # in one row, action 1 earned 0 in one row, and the mean of 0.5 counts as 2 rows: (1 + 1) / 3 and (0 + 1) / 3.
    # The predictions for b and d come from a and c, where every reward is 0.
    rewards, actions = np.array([0.0, 1.0, 0.0, 0.0]), np.array([0, 0, 0, 1])
    predicted = cross_fitted_means(rewards, actions, np.array(["a", "b", "c", "d"]), action_count=3, strength=2)
    np.testing.assert_allclose(predicted[[0, 2]], [[2 / 3, 1 / 3, 1 / 2]] * 2)
    np.testing.assert_allclose(predicted[[1, 3]], np.zeros((2, 3)))


def check_coverage(result: dict, least: int, most_wrong: int) -> None:
    """Check that every interval covers the true value often enough, and rarely with wrong propensities."""
    assert set(result["policies"]) == {"personal", "liking"}
    for name, policy in result["policies"].items():
        assert policy["true_value"] > result["logging_value"]
        for estimator in ESTIMATORS:
            assert policy[estimator]["covered"] >= least, (name, estimator)
            assert result["coverage_with_wrong_propensities"][name][estimator] <= most_wrong, (name, estimator)


@pytest.mark.slow
def test_20_repeats_cover():
    # With 95 % coverage, fewer than 16 of 20 have a probability of 0.0026, fewer than 15 of 0.0003.
    result = run(repeats=20, seed=0)
    check_coverage(result, least=15, most_wrong=10)
    assert json.loads(json.dumps(result)) == result


@pytest.mark.slow
def test_100_repeats_cover():
    # With 95 % coverage, fewer than 90 of 100 have a probability of 0.011.
    check_coverage(run(repeats=100, seed=0), least=90, most_wrong=50)
