"""Several loads are one load."""

import numpy as np
import pytest

from benchmarks.surfaces.http_load import Measured, together


def test_loads_together_count_all_requests_over_all_seconds():
    turns = [Measured(np.array([0.1, 0.2]), 1.0, 0, 1, 0.25), Measured(np.array([0.3]), 1.5, 0, 0, 0.5)]
    joint = together(turns)
    assert joint.seconds.tolist() == [0.1, 0.2, 0.3]
    # Two whole answers in 2.5 s; the third was not whole.
    assert joint.figures()["rps"] == pytest.approx(0.8)
    assert (joint.not_whole, joint.client_seconds) == (1, 0.75)
