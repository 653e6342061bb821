"""Features of a request, computed by hand."""

import math

import pandas as pd
import pytest

from feature_repo.on_demand import request_features, source_text

DAY = 86_400


def features(shares=(), weights=(), release=0, request=DAY) -> tuple[float, float]:
    """Return `genre_affinity` and `age_at_request_days` of one row."""
    row = {"genre_shares": shares, "genre_weights": weights, "release_ts": release, "request_ts": request}
    computed = request_features(pd.DataFrame([row]))
    return computed["genre_affinity"][0], computed["age_at_request_days"][0]


@pytest.mark.parametrize(
    ("shares", "weights", "affinity"),
    [
        pytest.param([0.75, 0.25], [0.5, 0.5], 0.5, id="0.375 + 0.125"),
        pytest.param([1.0, 0.0], [0.0, 1.0], 0.0, id="nothing in common"),
        pytest.param(None, [0.5, 0.5], 0.0, id="listener unknown"),
        pytest.param([0.5, 0.5], None, 0.0, id="item unknown"),
        pytest.param(None, None, 0.0, id="both unknown"),
        pytest.param([], [0.5, 0.5], 0.0, id="an empty list counts as unknown"),
    ],
)
def test_affinity_is_the_dot_product(shares, weights, affinity):
    assert features(shares, weights)[0] == pytest.approx(affinity)


@pytest.mark.parametrize(
    ("release", "request_ts", "days"),
    [
        pytest.param(DAY, 3 * DAY + DAY // 2, 2.5, id="two and a half days after the release"),
        pytest.param(0, DAY, -1.0, id="release unknown"),
        pytest.param(math.nan, DAY, -1.0, id="item unknown"),
    ],
)
def test_age_at_the_request(release, request_ts, days):
    assert features(release=release, request=request_ts)[1] == pytest.approx(days)


def test_each_row_has_its_own_features():
    computed = request_features(
        pd.DataFrame({
            "genre_shares": [[1.0, 0.0], None, [0.0, 1.0]],
            "genre_weights": [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]],
            "release_ts": [DAY, None, 2 * DAY],
            "request_ts": [2 * DAY] * 3,
        })
    )  # fmt: skip
    assert list(computed["genre_affinity"]) == [1.0, 0.0, 0.0]
    assert list(computed["age_at_request_days"]) == [1.0, -1.0, 0.0]


def test_the_function_works_from_its_source_text_alone():
    # Feast rebuilds it from the registry in this way, with no import but pandas.
    namespace = {"pd": pd}
    exec(source_text(), namespace)
    row = {"genre_shares": [[1.0]], "genre_weights": [[0.5]], "release_ts": [0], "request_ts": [DAY]}
    computed = namespace["request_features"](pd.DataFrame(row))
    assert (computed["genre_affinity"][0], computed["age_at_request_days"][0]) == (0.5, -1.0)


def test_a_store_rebuilds_the_function_from_the_registry(nano_store):
    rebuilt = nano_store.get_on_demand_feature_view("request_features").feature_transformation
    row = {"genre_shares": [[1.0]], "genre_weights": [[0.5]], "release_ts": [DAY], "request_ts": [2 * DAY]}
    assert rebuilt.udf.__module__ == "feast_udf_rehydrate"  # from the source text
    assert rebuilt.udf(pd.DataFrame(row)).to_dict("list") == {"genre_affinity": [0.5], "age_at_request_days": [1.0]}
