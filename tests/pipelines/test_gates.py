"""The gates bite: what must not be pushed is not, and the report says why."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segue.files import read_json

pytestmark = pytest.mark.slow


def pushed_versions(segue) -> set[str]:
    return {str(path.relative_to(segue.home.models)) for path in segue.home.models.glob("*/[0-9]*")}


def rewrite(folder: Path, pattern: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change tables of the imported data set in place."""
    for path in sorted(folder.glob(pattern)):
        pq.write_table(change(pq.ParquetFile(path).read()), path)


def assert_stopped(segue, before: set[str], reason: str, train) -> dict:
    ended = train(segue)  # exit code 0: a gate that says no is a result
    assert ended["status"] == "stopped"
    assert reason in ended["reason"]
    assert pushed_versions(segue) == before
    assert read_json(Path(ended["folder"]) / "report.json")["reason"] == ended["reason"]
    return ended


def test_shuffled_labels_are_not_blessed(branch, train):
    segue = branch()
    rng = np.random.default_rng(0)

    def deal(events: pa.Table) -> pa.Table:
        # Labels as frequent as the true ones, dealt to impressions at random: nothing can be learned.
        shares = {"play": 0.3, "complete": 0.2, "skip": 0.2, "like": 0.1, "add": 0.1, "listen": 0.3}
        for name, share in shares.items():
            dealt = (rng.random(events.num_rows) < share).astype(np.float32)
            events = events.append_column(f"label_{name}", pa.array(dealt))
        return events

    rewrite(segue.home.data, "events/*/*.parquet", deal)
    assert_stopped(segue, pushed_versions(segue), "the blessing said no: ranking AUC", train)


def test_changed_values_of_a_column_stop_the_run_before_training(branch, train):
    segue = branch()

    def rename(items: pa.Table) -> pa.Table:
        types = [f"{value}_v2" for value in items["content_type"].to_pylist()]
        index = items.schema.get_field_index("content_type")
        return items.set_column(index, "content_type", pa.array(types))

    rewrite(segue.home.data, "items.parquet", rename)
    ended = assert_stopped(segue, pushed_versions(segue), "data validation said no: content_type", train)
    assert "train-ranking" not in ended["steps"]
    assert "train-retrieval" not in ended["steps"]


def test_a_planted_future_leak_is_caught(branch, train, tmp_path):
    segue = branch()
    # A statistic stamped with the start of its own day knows the rest of that day.
    (tmp_path / "sitecustomize.py").write_text(
        "import feature_repo.transformations as T\n"
        "T.stamp = lambda day: (day.cast('int64') * T.DAY_SECONDS).as_timestamp('s').cast(T.TIMESTAMP)\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    ended = assert_stopped(
        segue, pushed_versions(segue), "changes when the log ends there", lambda s: train(s, env=env)
    )
    assert "train-ranking" not in ended["steps"]


def test_a_saved_model_that_cannot_load_is_not_pushed(branch, train, tmp_path):
    segue = branch()
    # Between evaluation and infra validation the ranking model loses the file of its weights.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'infra_validate' in sys.orig_argv:\n"
        "    import workloads.infra_validate as W\n"
        "    real = W.sample_requests\n"
        "    def lose(training_set, saved_models, seed):\n"
        "        requests = real(training_set, saved_models, seed)\n"
        "        for path in (saved_models['ranking'] / 'variables').glob('*.index'):\n"
        "            path.unlink()\n"
        "        return requests\n"
        "    W.sample_requests = lose\n"
    )
    before = pushed_versions(segue)
    env = {"PYTHONPATH": str(tmp_path)}
    ended = assert_stopped(segue, before, "infra validation said no", lambda s: train(s, env=env))
    assert "push" not in ended["steps"]
