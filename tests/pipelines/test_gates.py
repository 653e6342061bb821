"""Each gate stops a run with a planted fault before the push, and the report names the reason."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segue.files import read_json
from tests.support.nano_loop import copied_models

pytestmark = pytest.mark.slow


def pushed_versions(segue) -> set[str]:
    """Return the paths of all versions in a home's model store, such as `ranking/1`."""
    return {str(path.relative_to(segue.home.models)) for path in segue.home.models.glob("*/[0-9]*")}


def rewrite(folder: Path, pattern: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change tables of the imported data set in place."""
    for path in sorted(folder.glob(pattern)):
        pq.write_table(change(pq.ParquetFile(path).read()), path)


def assert_stopped(segue, before: set[str], reason: str, train, changes: str = "") -> dict:
    """Train, and check that a gate stopped the run with the reason; return the run's outcome."""
    result = train(segue, changes)  # the exit code is 0, because a gate that stops a run is a result
    assert result["status"] == "stopped"
    assert reason in result["reason"]
    assert pushed_versions(segue) == before
    assert read_json(Path(result["folder"]) / "report.json")["reason"] == result["reason"]
    return result


def test_shuffled_labels_are_not_blessed(branch, train):
    segue = branch()
    rng = np.random.default_rng(0)

    def draw_labels(events: pa.Table) -> pa.Table:
        # Random labels that are as frequent as the true labels: nothing can be learned from them.
        shares = {"play": 0.3, "complete": 0.2, "skip": 0.2, "like": 0.1, "add": 0.1, "listen": 0.3}
        for name, share in shares.items():
            labels = (rng.random(events.num_rows) < share).astype(np.float32)
            events = events.append_column(f"label_{name}", pa.array(labels))
        return events

    rewrite(segue.home.data, "events/*/*.parquet", draw_labels)
    # Ranking is trained on these labels. The other models are copies of those that were trained on the true labels.
    changes = copied_models(segue.home, "retrieval", "sequence")
    assert_stopped(segue, pushed_versions(segue), "the blessing said no: ranking AUC", train, changes)


def test_changed_values_of_a_column_stop_the_run_before_training(branch, train):
    segue = branch()

    def rename(items: pa.Table) -> pa.Table:
        types = [f"{value}_v2" for value in items["content_type"].to_pylist()]
        index = items.schema.get_field_index("content_type")
        return items.set_column(index, "content_type", pa.array(types))

    rewrite(segue.home.data, "items.parquet", rename)
    result = assert_stopped(segue, pushed_versions(segue), "data validation said no: content_type", train)
    assert "train-ranking" not in result["steps"]
    assert "train-retrieval" not in result["steps"]


def test_a_planted_future_leak_is_caught(branch, train):
    segue = branch()
    # A statistic that is stamped with the start of its own day contains the rest of that day.
    changes = """
        from feature_repo import transformations
        from feature_repo.transformations import DAY_SECONDS, TIMESTAMP
        transformations.stamp = lambda day: (day.cast('int64') * DAY_SECONDS).as_timestamp('s').cast(TIMESTAMP)
    """
    result = assert_stopped(segue, pushed_versions(segue), "changes when the log ends there", train, changes)
    assert "train-ranking" not in result["steps"]


def test_a_saved_model_that_cannot_load_is_not_pushed(branch, train):
    segue = branch()
    # The models are copies of the served models, and the evaluation blesses them. Then the ranking model loses the
    # index of its weights.
    changes = """
        from workloads import evaluate, infra_validate
        evaluate.step = lambda *_, **__: (True, {})
        sample_requests = infra_validate.sample_requests
        def sample_and_delete_weights(training_set, saved_models, seed):
            requests = sample_requests(training_set, saved_models, seed)
            for path in (saved_models['ranking'] / 'variables').glob('*.index'):
                path.unlink()
            return requests
        infra_validate.sample_requests = sample_and_delete_weights
    """
    changes = copied_models(segue.home, "retrieval", "sequence", "ranking") + dedent(changes)
    result = assert_stopped(segue, pushed_versions(segue), "infra validation said no", train, changes)
    assert "push" not in result["steps"]
