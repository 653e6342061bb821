"""Which columns of two windows are compared, and in which form."""

import numpy as np
import pandas as pd
import pytest

from monitoring.aligning import MAX_CATEGORIES, NULL, OTHER, align
from segue.errors import InputError


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_columns_are_features_or_predictions_by_their_names():
    window = frame(age=[1, 2], plan=["free", "paid"], prediction_play=[0.1, 0.2])
    result = align(window, window)
    assert (result.features, result.predictions) == (["age", "plan"], ["prediction_play"])
    assert (result.numerical, result.categorical) == (["age", "prediction_play"], ["plan"])


def test_nulls_of_a_number_become_a_second_column():
    result = align(frame(age=[1.0, np.nan]), frame(age=[1.0, np.inf]))
    assert list(result.reference["age is null"]) == ["value", "null"]
    assert list(result.current["age is null"]) == ["value", "null"]


@pytest.mark.parametrize("null", [None, np.nan, pd.NA, pd.NaT])
def test_a_column_without_values_is_compared_by_its_nulls_alone(null):
    result = align(frame(age=[1.0, 2.0]), frame(age=pd.Series([null, null], dtype=object)))
    assert list(result.current) == ["age is null"]


def test_a_null_category_is_a_category_of_its_own():
    result = align(frame(plan=["free", None]), frame(plan=["free", "free"]))
    assert list(result.reference["plan"]) == ["free", NULL]


def test_rare_and_new_categories_share_a_bucket():
    # "a" occurs twice and 40 other values once: "a" and the first 29 others by name are kept.
    older = ["a", "a", *(f"v{n:02d}" for n in range(40))]
    result = align(frame(item=older), frame(item=["a", "v28", "v29", "new"]))
    assert result.reference["item"].nunique() == MAX_CATEGORIES + 1
    assert list(result.current["item"]) == ["a", "v28", OTHER, OTHER]


def test_a_new_category_keeps_its_name_if_there_is_room():
    assert list(align(frame(plan=["free"]), frame(plan=["gold"])).current["plan"]) == ["gold"]


def test_a_skipped_column_is_listed_with_the_reason():
    older = frame(age=[1], ts=pd.to_datetime(["2026-01-01T00:00:00Z"]), genres=[["rock"]], old=[1])
    newer = frame(age=[1], ts=pd.to_datetime(["2026-01-01T00:00:00Z"]), genres=[["rock"]], new=[1])
    assert align(older, newer).skipped == {
        "ts": "not a scalar number or category but datetime64[ns, UTC]",
        "genres": "not a scalar number or category but list",
        "old": "only in the reference window",
        "new": "only in the current window",
    }


def test_a_changed_type_is_an_error():
    with pytest.raises(InputError, match="'age' is int64 in the reference and object in the current"):
        align(frame(age=[1]), frame(age=["one"]))


def test_no_common_column_is_an_error():
    with pytest.raises(InputError, match=r"\['age'\] and \['plan'\]"):
        align(frame(age=[1]), frame(plan=["free"]))


@pytest.mark.parametrize("empty", ["reference", "current"])
def test_an_empty_window_is_an_error(empty):
    windows = {"reference": frame(age=[1]), "current": frame(age=[1])}
    windows[empty] = windows[empty].head(0)
    with pytest.raises(InputError, match=f"The {empty} window has 0 rows"):
        align(**windows)
