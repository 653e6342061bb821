"""The log that metrics read: which file of requests is one."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from experiments.metrics.log import checked_requests
from segue.errors import InputError


def test_a_file_of_requests_has_its_columns(tmp_path):
    path = tmp_path / "requests.parquet"
    with pytest.raises(InputError, match=r"requests.parquet cannot be read"):
        checked_requests(path)
    pq.write_table(pa.table({"user_id": ["u1"], "latency": [3]}), path)
    with pytest.raises(InputError, match=r"columns user_id, ts, latency_ms. .*requests.parquet lacks ts, latency_ms"):
        checked_requests(path)
    pq.write_table(pa.table({"user_id": ["u1"], "ts": [0], "latency_ms": [3.0], "status": [200]}), path)
    assert checked_requests(path) == path
