"""Frames of scalar columns, the input of data validation and drift detection."""

import numpy as np
import pytest

from events.schema import HEADS
from models.evaluation.frames import CATEGORIES, NUMBERS, prediction_frame, scalar_frame
from models.evaluation.held_out import predict_ranking
from tests.models.conftest import REWARD


@pytest.fixture(scope="module")
def table(make_table):
    """A complete row, and a row with missing values."""
    return make_table({}, {"country": None, "plan": "", "user_plays_7d": None, "genre_weights": [0.0, 0.0]})


def test_missing_values_are_null(table):
    frame = scalar_frame(table)
    assert frame["country"].tolist() == ["SE", None]
    assert frame["plan"].tolist() == ["free", None]
    assert frame["user_plays_7d"].isna().tolist() == [False, True]


def test_a_frame_has_every_scalar_feature_and_no_label(table):
    columns = list(scalar_frame(table))
    assert columns == [*CATEGORIES, *NUMBERS]
    assert not [name for name in columns if name.startswith(("label_", "history_"))]


def test_predictions_are_in_the_rows_of_their_examples(saved_ranking, make_table):
    rows = [{"genre_weights": weights} for weights in ([0.2, 0.8], [0.8, 0.2], [0.0, 0.0])]
    table = make_table(*rows)
    frame = prediction_frame(table, predict_ranking(saved_ranking, table), seed=0)
    assert frame["main_genre"].tolist() == ["1", "0", None]
    assert frame["ts"].notna().all()
    for head in HEADS:
        assert frame[f"prediction_{head}"].between(0, 1).all()
    reward = sum(weight * frame[f"prediction_{name}"] for name, weight in REWARD.items())
    np.testing.assert_allclose(frame["prediction_reward"], reward, rtol=1e-5)
