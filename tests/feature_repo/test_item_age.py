"""The age of an item, in NumPy and in Ibis."""

import ibis
import numpy as np
import pyarrow as pa
import pytest

from feature_repo.item_age import age_in_days

DAY = 86_400
CASES = [
    pytest.param(DAY, 3 * DAY + DAY // 2, 2.5, id="two and a half days after the release"),
    pytest.param(3 * DAY, 3 * DAY, 0.0, id="at the release"),
    pytest.param(3 * DAY, DAY, 0.0, id="before the release"),
    pytest.param(0, DAY, -1.0, id="release unknown"),
    pytest.param(-DAY, DAY, 2.0, id="released before 1970"),
]


@pytest.mark.parametrize(("release", "request_ts", "days"), CASES)
def test_numpy_arrays(release, request_ts, days):
    assert age_in_days(np.array([release]), np.array([request_ts]), np.where, np.maximum).tolist() == [days]


@pytest.mark.parametrize(("release", "request_ts", "days"), CASES)
def test_ibis_columns(engine, memory, release, request_ts, days):
    table = memory(pa.table({"release": [release], "request_ts": [request_ts]}))
    age = age_in_days(table.release, table.request_ts, ibis.ifelse, ibis.greatest)
    assert engine.to_pyarrow(age).to_pylist() == [days]
