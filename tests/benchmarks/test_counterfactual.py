"""Targets of the counterfactual benchmark; its estimates are tested in tests/models/evaluation."""

from benchmarks.counterfactual import ESTIMATORS, coverage_targets


def test_coverage_is_a_share_of_the_logs():
    covered = {name: {"covered": 18} for name in ESTIMATORS}
    limits = coverage_targets({"liking": covered}, {"liking": {"ips": 2, "snips": 10, "dr": 11}}, repeats=20)
    assert limits["liking_ips_coverage"] == {"value": 0.9, "at_least": 0.9, "holds": True}
    wrong = {name: limits[f"liking_{name}_coverage_with_wrong_propensities"]["holds"] for name in ESTIMATORS}
    assert wrong == {"ips": True, "snips": True, "dr": False}
