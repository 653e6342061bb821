"""Columns of text get the types that Arrow infers from the whole column."""

import io

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from events.bulk import batches
from events.importers.text_types import with_types


@pytest.mark.parametrize(
    "values",
    [
        ["1", "", "-3"],
        ["1", "2.5"],
        ["007", "1e3", "nan"],
        ["true", "False", "0"],
        ["2026-01-05", ""],
        ["2026-01-05", "2026-01-05 10:00:00"],
        ["2026-01-05T10:00:00.123", "2026-01-05"],
        ["2026-01-05T10:00:00Z", "2026-01-05 10:00:00.5+01:00"],
        ["2026-01-05T10:00:00Z", "2026-01-05"],
        ["10:00", "11:30:00"],
        ["1", "99999999999999999999"],
        ["1", "one"],
        ["1,5", "2"],
        ["", ""],
        ['"', "1"],
        ["1\n2", "3"],
        ["N/A", "1"],
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [1, 100])
def test_types_are_those_of_arrow(monkeypatch, values, rows):
    monkeypatch.setattr(batches, "ROWS", rows)
    quoted = ("".join(("a\n", *('"' + value.replace('"', '""') + '"\n' for value in values)))).encode()

    def read(types: dict) -> pa.Table:
        convert = pacsv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True)
        return pacsv.read_csv(io.BytesIO(quoted), None, pacsv.ParseOptions(newlines_in_values=True), convert)

    (typed,) = with_types([read({"a": pa.string()})], ())
    assert typed.schema == read({}).schema
    assert str(typed["a"].to_pylist()) == str(read({})["a"].to_pylist())


def test_columns_of_the_contract_stay_text():
    (typed,) = with_types([pa.table({"user_id": ["007"], "mood": ["7"]})], ["user_id"])
    assert typed.to_pylist() == [{"user_id": "007", "mood": 7}]
