"""Quality of predictions on a page, by hand."""

import numpy as np
import pandas as pd
import pytest

from monitoring.checks.quality import quality

# Page 0: played .9, skipped .4, played .4, skipped .6. Page 1: played .2. Page 2: skipped .7, on search.
DAY = pd.DataFrame({
    "action": ["impression", "play", "skip", "play", "skip", "play", "skip"],
    "request": [0, 0, 0, 0, 0, 1, 2],
    "prediction": [0.9, 0.9, 0.4, 0.4, 0.6, 0.2, 0.7],
    "surface": pd.Categorical(["home"] * 6 + ["search"]),
})  # fmt: skip


@pytest.mark.parametrize(
    ("check", "level", "numerator", "denominator"),
    [
        ("auc", "all surfaces", 2 + 0.5, 4),  # .9 is above both skips; .4 ties with one and is below the other
        # The plays of page 0 are at the places 1 and 4: of a tie, the earlier row comes first.
        ("ndcg", "home", (1 + 1 / np.log2(5)) / (1 + 1 / np.log2(3)) + 1, 2),
        ("ndcg", "search", 0, 0),
        ("calibration", "all surfaces", 3 - (0.9 + 0.4 + 0.4 + 0.6 + 0.2 + 0.7), 6),
        ("calibration", "search", -0.7, 1),
    ],
)
def test_quality_is_a_ratio_of_sums(check, level, numerator, denominator):
    (measure,) = [each for each in quality(DAY) if (each.check, each.level) == (check, level)]
    assert measure.numerator.sum() == pytest.approx(numerator)
    assert measure.denominator.sum() == pytest.approx(denominator)


def test_a_day_without_predictions_has_no_quality():
    day = DAY.assign(prediction=np.nan)
    assert all(measure.denominator.sum() == 0 for measure in quality(day))
