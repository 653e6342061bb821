"""The first step of the training pipeline collects the journal before it copies the log; a dead store loses nothing."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import dataset, schema
from events.imported import Imported
from events.journal.journal import open_journal
from events.journal.records import Feedback
from events.journal.redis_keeping import RedisKeeping
from models.training_config import TrainingConfig
from segue.files import read_json
from segue.settings import Home
from stores import parts, records, trees
from stores.settings import Settings, settings
from tests.workloads.conftest import fails_at_once
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "part", "owner", "name"),
    [
        ("valkey", "online store", RedisKeeping, "changed"),  # while it is read and joined
        ("objects", "object store", trees, "publish"),  # joined, and not published
        ("objects", "object store", records, "keep"),  # published, and the step has not ended
    ],
)
def test_an_ingest_that_collects_the_journal_without_a_server(
    run, log, dies, request, tmp_path, server, part, owner, name
):
    parts.change(log, parts.DATA, lambda: None)  # publishes what is there
    before = dataset.load(log.data).events()
    (last,) = before.slice(before.num_rows - 1).to_pylist()
    played = [last["user_id"], None, last["item_id"], "play", 40_000, last["ts"] + timedelta(minutes=1)]
    with closing(open_journal(run.home, settings())) as journal:
        journal.record([Feedback(f"of-the-journal-{n}", f"request-{n}", *played) for n in range(3)]).result()
    revive = dies(request.getfixturevalue(server), owner, name)
    fails_at_once(lambda: ingest.step(run, tmp_path / "lost"), part, run)
    revive()
    ingest.step(Run(Home(tmp_path / "again"), "r1", {}), tmp_path / "ingested")
    events = pq.read_table(tmp_path / "ingested" / "events.parquet")["event_id"].to_pylist()
    assert sorted(e for e in events if e.startswith("of-the-journal")) == [f"of-the-journal-{n}" for n in range(3)]
    seen = Home(tmp_path / "seen")
    parts.bring(seen, parts.DATA)
    assert len(events) == dataset.load(seen.data).events().num_rows == before.num_rows + 3
