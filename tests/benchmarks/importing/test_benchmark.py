"""The import benchmark: all contestants store and set aside the same rows. No test asserts a duration."""

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks.importing import log
from benchmarks.importing.benchmark import CONTESTANTS, LEAST_EVENTS, measure, run, targets
from segue.errors import SegueError

FIGURES = {"seconds", "cpu_seconds", "peak_memory_mb", "stored", "quarantined"}


@pytest.mark.slow
def test_all_contestants_store_the_same_rows():
    lines: list[str] = []
    result = run(5000, lines.append)
    assert set(result["formats"]) == {"parquet", "csv", "csv.gz"}
    assert len(lines) == 1 + 9
    for name, measured in result["formats"].items():
        for contestant in CONTESTANTS:
            assert set(measured[contestant]) == FIGURES
            assert (measured[contestant]["stored"], measured[contestant]["quarantined"]) == (4985, 15)
        assert result["targets"][f"{name}_different_row_counts"]["holds"]
        assert f"{name}_times_duckdb" not in result["targets"]


def test_the_log_is_the_same_in_each_run_and_has_rows_to_set_aside(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        log.write(tmp_path / name, 2000)
    table = pq.read_table(tmp_path / "a" / "log.parquet")
    assert table.equals(pq.read_table(tmp_path / "b" / "log.parquet"))
    assert pc.count_distinct(table["event_id"]).as_py() == 2000
    assert pc.sum(pc.equal(table["action"], "buffering")).as_py() == 2
    assert pc.sum(pc.less(table["ms_played"], 0)).as_py() == 2
    assert pc.max(table["item_id"]).as_py() > f"i{log.ITEMS}"


def test_seconds_have_targets_in_long_logs_only():
    figures = {"seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": 500.0, "stored": 9, "quarantined": 1}
    formats = {"csv": {**dict.fromkeys(CONTESTANTS, figures), "times_duckdb": 1.6, "times_pandas": 3.0}}
    assert {name: limit["holds"] for name, limit in targets(LEAST_EVENTS, formats).items()} == {
        "csv_different_row_counts": True,
        "csv_peak_memory_mb": True,
        "csv_times_duckdb": False,
        "csv_times_pandas": True,
    }
    formats["csv"]["pandas"] = {**figures, "stored": 8}
    short = targets(LEAST_EVENTS - 1, formats)
    assert {name: limit["holds"] for name, limit in short.items()} == {
        "csv_different_row_counts": False,
        "csv_peak_memory_mb": True,
    }


def test_a_process_that_fails_is_named_with_the_end_of_its_output(tmp_path):
    with pytest.raises(SegueError, match="ended with 3") as error:
        measure(["-c", "print('no log'); raise SystemExit(3)"], tmp_path / "home")
    assert "no log" in error.value.fix
