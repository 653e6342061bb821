"""The score of a candidate that a model did not find."""

import numpy as np
import pytest

from segue.candidates import fill_missing

MISSING = -np.inf


@pytest.mark.parametrize(
    ("scores", "listed", "expected"),
    [
        pytest.param([[3.0, MISSING, 1.0]], None, [[3.0, 1.0, 1.0]], id="the least score of the row"),
        pytest.param([[3.0, MISSING], [5.0, 4.0]], None, [[3.0, 3.0], [5.0, 4.0]], id="each row has its own"),
        pytest.param([[MISSING, MISSING]], None, [[0.0, 0.0]], id="0 for a row without any score"),
        pytest.param([3.0, MISSING, -7.0], [3.0, 2.0], [3.0, 2.0, -7.0], id="the least score of another list"),
        pytest.param([-7.0, MISSING], [], [-7.0, 0.0], id="0 for an empty list"),
    ],
)
def test_fill_missing(scores, listed, expected):
    filled = fill_missing(np.array(scores), None if listed is None else np.array(listed))

    assert filled.dtype == np.float32
    assert filled.tolist() == expected
