"""Features of a request, worked by hand."""

import math

import pandas as pd
import pytest

from feature_repo.definitions import function_source
from feature_repo.on_demand import request_features

DAY = 86_400


def features(shares=(), weights=(), release=0, request=DAY) -> tuple[float, float]:
    """`genre_affinity` and `age_at_request_days` of one row."""
    row = {"genre_shares": shares, "genre_weights": weights, "release_ts": release, "request_ts": request}
    found = request_features(pd.DataFrame([row]))
    return found["genre_affinity"][0], found["age_at_request_days"][0]


@pytest.mark.parametrize(
    ("shares", "weights", "affinity"),
    [
        pytest.param([0.75, 0.25], [0.5, 0.5], 0.5, id="0.375 + 0.125"),
        pytest.param([1.0, 0.0], [0.0, 1.0], 0.0, id="nothing in common"),
        pytest.param(None, [0.5, 0.5], 0.0, id="listener unknown"),
        pytest.param([0.5, 0.5], None, 0.0, id="item unknown"),
        pytest.param(None, None, 0.0, id="both unknown"),
        pytest.param([], [0.5, 0.5], 0.0, id="an empty list is unknown"),
    ],
)
def test_affinity_is_the_dot_product(shares, weights, affinity):
    assert features(shares, weights)[0] == pytest.approx(affinity)


@pytest.mark.parametrize(
    ("release", "request_ts", "days"),
    [
        pytest.param(DAY, 3 * DAY + DAY // 2, 2.5, id="two days and a half"),
        pytest.param(3 * DAY, DAY, 0.0, id="before its release"),
        pytest.param(0, DAY, -1.0, id="release unknown"),
        pytest.param(math.nan, DAY, -1.0, id="item unknown"),
        pytest.param(-DAY, DAY, 2.0, id="released before 1970"),
    ],
)
def test_age_at_the_request(release, request_ts, days):
    assert features(release=release, request=request_ts)[1] == pytest.approx(days)


def test_rows_do_not_mix():
    found = request_features(
        pd.DataFrame({
            "genre_shares": [[1.0, 0.0], None, [0.0, 1.0]],
            "genre_weights": [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]],
            "release_ts": [DAY, None, 2 * DAY],
            "request_ts": [2 * DAY] * 3,
        })
    )  # fmt: skip
    assert list(found["genre_affinity"]) == [1.0, 0.0, 0.0]
    assert list(found["age_at_request_days"]) == [1.0, -1.0, 0.0]


def test_the_function_works_from_its_source_text_alone():
    # So does Feast rebuild it from the registry; only pandas is at hand there.
    namespace = {"pd": pd}
    exec(function_source(request_features), namespace)
    row = {"genre_shares": [[1.0]], "genre_weights": [[0.5]], "release_ts": [0], "request_ts": [DAY]}
    assert namespace["request_features"](pd.DataFrame(row))["genre_affinity"][0] == 0.5
