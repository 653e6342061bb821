"""The age of an item at a request: one rule in training, in saved models and in added items."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf

from feature_repo.on_demand import request_features
from models.inputs.item_age import AGE, DAY_SECONDS, age_at_request, age_column, encode_age

NOW = 1_700_000_000
RELEASES = [
    NOW - 3 * DAY_SECONDS,
    NOW - DAY_SECONDS // 2,
    NOW,
    NOW + 60,
    0,
    NOW - 9_000 * DAY_SECONDS - 7,
    -DAY_SECONDS,
]


@pytest.mark.parametrize(
    ("release_ts", "days"),
    [
        pytest.param(NOW - 36 * 3600, 1.5, id="a day and a half"),
        pytest.param(NOW, 0.0, id="released now"),
        pytest.param(NOW + 1, 0.0, id="before the release"),
        pytest.param(0, -1.0, id="unknown"),
    ],
)
def test_the_age_is_in_days_from_release_to_request(release_ts, days):
    assert age_at_request(np.array([release_ts]), NOW).numpy().tolist() == [days]


def test_each_request_of_a_batch_has_its_own_time():
    in_graph = tf.function(age_at_request)
    release = tf.constant([[NOW, 0], [NOW, NOW]], tf.int64)
    age = in_graph(release, tf.constant([[NOW + DAY_SECONDS], [NOW + 2 * DAY_SECONDS]], tf.int64))
    assert age.dtype == tf.float32
    assert age.numpy().tolist() == [[1, -1], [2, 2]]


def test_a_saved_model_computes_the_age_that_the_feature_store_gives_to_training():
    requests = pd.DataFrame({
        "release_ts": RELEASES,
        "request_ts": [NOW] * len(RELEASES),
        "genre_shares": [None] * len(RELEASES),
        "genre_weights": [None] * len(RELEASES),
    })  # fmt: skip
    expected = request_features(requests)[AGE].to_numpy()
    np.testing.assert_allclose(age_at_request(np.array(RELEASES), NOW).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("days", "encoded"),
    [
        pytest.param(np.e - 1, (1 / 8, 1.0), id="log(1 + days) / 8"),
        pytest.param(0.0, (0.0, 1.0), id="released now"),
        pytest.param(-1.0, (0.0, 0.0), id="unknown"),
    ],
)
def test_an_age_is_encoded_as_its_logarithm_and_a_flag(days, encoded):
    assert tuple(map(float, encode_age(np.float32(days)))) == pytest.approx(encoded)


def test_a_null_age_is_unknown():
    column = age_column(pa.table({AGE: pa.array([0.0, None, 2.5])}))
    assert column.tolist() == [0, -1, 2.5]
    assert column.dtype == np.float32
