"""The first step of the training pipeline collects the journal before it copies the log."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from events import dataset, schema
from events.imported import Imported
from events.journal.journal import open_journal
from events.journal.records import Feedback
from models.training_config import TrainingConfig
from segue.files import read_json
from segue.settings import Home
from stores.settings import Settings
from workloads import ingest
from workloads.run import Run

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_what_the_journal_has_is_in_the_runs_log(tmp_path):
    home = Home(tmp_path / "home")
    plays = [
        {"event_id": f"e{n}", "user_id": f"u{n % 2}", "item_id": "a", "ts": NOON + timedelta(hours=n), "action": "play"}
        for n in range(20)
    ]
    items, users = pa.table({"item_id": ["a"], "title": ["A"]}), pa.table({"user_id": ["u0", "u1"]})
    dataset.write(home.data, Imported("tiny", items, users, pa.Table.from_pylist(plays, schema.EVENTS)))
    run = Run(home, "r1", TrainingConfig().to_dict())
    assert ingest.collected(home) == {}  # without a journal the log is as it was imported
    with closing(open_journal(home, Settings())) as journal:
        journal.record([Feedback("new", "r", "u0", None, "a", "like", None, NOON + timedelta(days=2))]).result()
        ingest.step(run, tmp_path / "log")
        assert journal.keeping.newest() == "1"  # and nothing is dropped
    assert "new" in pq.read_table(tmp_path / "log" / "events.parquet")["event_id"].to_pylist()
    result = read_json(home.run("r1").steps / "ingest.json")["result"]
    assert result["journal"]["added"] == {"like": 1}
