"""Quantiles from a histogram's buckets."""

import pytest

from surfaces.operator.traffic import quantile

BOUNDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("counts", "q", "value"),
    [
        ([10, 0, 0, 0], 0.5, 0.5),  # the middle of the first bucket, which begins at 0
        ([5, 5, 0, 0], 0.5, 1.0),  # the bound between both
        ([0, 10, 0, 0], 0.95, 1.95),
        ([0, 0, 0, 10], 0.5, 4.0),  # beyond the last bound
        ([1, 0, 9, 0], 0.95, 2 + 2 * 8.5 / 9),
        ([1, 0, 0, 0], 1.0, 1.0),
    ],
)
def test_a_quantile_is_linear_within_its_bucket(counts, q, value):
    assert quantile(BOUNDS, counts, q) == pytest.approx(value)
