"""The same bucket everywhere: the vectors of the documentation, in Python and in DuckDB."""

import re
from pathlib import Path

import duckdb
import ibis
import numpy as np
import pytest
from scipy.stats import chisquare

from experiments.assignment.buckets import BUCKETS, bucket, bucket_column

PAGE = Path(__file__).resolve().parents[3] / "docs" / "experiments.md"
VECTORS = [
    (salt, unit, int(number))
    for salt, unit, number in re.findall(r"^\| `([a-z0-9-]+)` \| `(\S+)` \| (\d+) \|$", PAGE.read_text("utf-8"), re.M)
]


def test_the_page_has_vectors():
    assert len(VECTORS) >= 5
    assert any(not unit.isascii() for _, unit, _ in VECTORS)


@pytest.mark.parametrize(("salt", "unit", "number"), VECTORS)
def test_python_and_duckdb_give_the_vectors_of_the_page(salt, unit, number):
    assert bucket(salt, unit) == number
    sql = re.search(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
    assert duckdb.execute(sql, {"salt": salt, "unit": unit}).fetchone() == (number,)


def test_the_column_is_the_function():
    units = [f"u{number}" for number in range(500)] + ["", "ü", "a:b"]
    table = ibis.memtable({"unit": units})
    column = table.mutate(bucket=bucket_column("s-1", table.unit)).to_pyarrow()
    assert dict(zip(column["unit"].to_pylist(), column["bucket"].to_pylist(), strict=True)) == {
        unit: bucket("s-1", unit) for unit in units
    }


def test_buckets_are_even_and_two_salts_are_independent():
    numbers = np.array([[bucket(salt, f"u{i}") for salt in ("a", "b")] for i in range(20_000)])
    assert numbers.min() >= 0
    assert numbers.max() < BUCKETS
    cells = np.bincount(numbers[:, 0] * 10 // BUCKETS * 10 + numbers[:, 1] * 10 // BUCKETS, minlength=100)
    assert chisquare(cells).pvalue > 0.001
