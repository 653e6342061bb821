"""Tables that DuckDB writes and reads."""

import pytest

from feature_repo.engine import duckdb_engine, read_parquet, write


@pytest.mark.parametrize(
    "name", ["it's", 'it\'s "so"', "back\\slash", "two\nlines", "seg [v2]*?", "#1: é 日本 $HOME {x}"]
)
def test_a_table_is_written_and_read_under_any_path(tmp_path, name):
    path = tmp_path / name / "table.parquet"
    path.parent.mkdir()
    with duckdb_engine() as engine:
        engine.raw_sql("CREATE TABLE days AS SELECT range AS day FROM range(3)")
        write(engine.table("days"), path)
        assert read_parquet(engine, path).execute()["day"].tolist() == [0, 1, 2]
    assert [file.name for file in path.parent.iterdir()] == ["table.parquet"]
