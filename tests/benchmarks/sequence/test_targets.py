"""Targets of the sequence benchmark."""

import pytest

from benchmarks.sequence.targets import targets


def measured(ndcg: float) -> dict:
    interval = {"low": ndcg - 0.02, "high": ndcg + 0.02}
    return {"hr@10": ndcg, "ndcg@10": ndcg, "intervals": {"hr@10": interval, "ndcg@10": interval}}


@pytest.mark.parametrize(("best", "holds"), [(0.29, True), (0.31, True), (0.33, False)])
def test_the_best_figure_may_lie_within_the_dense_heads_interval(best, holds):
    limits = targets({"listeners": 9, "items": 9}, {"segue_dense": measured(0.3), "ease": measured(best)})
    assert set(limits) == {"first_hr@10", "first_ndcg@10"}
    assert limits["first_ndcg@10"]["holds"] is holds


def test_sasrec_must_reach_its_published_figures_on_movielens_1m():
    models = {"sasrec_one_negative": measured(0.13)}
    assert targets({"listeners": 9, "items": 9}, models) == {}
    limits = targets({"listeners": 6040, "items": 3416}, models)
    # 0.95 of NDCG@10 0.126 is 0.1197; 0.95 of HR@10 0.239 is 0.2271.
    assert limits["sasrec_one_negative_ndcg@10"]["holds"]
    assert not limits["sasrec_one_negative_hr@10"]["holds"]
