"""`segue data collect` from the command line, in a home and in a cluster."""

import contextlib
import json
import sys
from datetime import timedelta

import pyarrow as pa
import pytest

import cli
from events import dataset
from events.imported import Imported
from events.journal.journal import open_journal
from events.journal.records import Exposure, Feedback
from segue.clock import utc_now
from segue.errors import EXIT_RETRY
from segue.settings import Home
from stores import online_store, parts
from stores.settings import settings
from tests.support.soon import soon

ITEMS = pa.table({"item_id": ["i1", "i2"], "title": ["Amber River", "Silver Bay"]})


@pytest.fixture
def segue(tmp_path, monkeypatch, capsys):
    """A function that calls the command and returns its exit code, stdout and stderr."""
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path / "home"))

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segue", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return call


def serve(request: str, user: str, days_ago: int = 0) -> None:
    """Write a page of two items and a play of the second to the journal of the settings."""
    ts = utc_now() - timedelta(days=days_ago)
    with contextlib.closing(open_journal(Home.from_env(), settings())) as journal:
        journal.append([
            Exposure(request, user, None, ts, "home", "", row, 1, row, f"i{row}", "layout", "1") for row in (1, 2)
        ])  # fmt: skip
        journal.record([Feedback(f"play-{request}", request, user, None, "i2", "play", 1000, ts)])


def test_a_journal_is_collected_once_and_old_requests_leave_it(segue, tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\ni1,Amber River\ni2,Silver Bay\n")
    serve("r1", "u1")
    serve("r2", "u2", days_ago=40)
    code, _, error = segue("data", "collect")
    assert (code, "--items" in error) == (2, True)
    code, out, _ = segue("data", "collect", "--items", items, "--json")
    result = json.loads(out)
    assert (code, result["added"], result["listeners"]) == (0, {"impression": 4, "play": 2}, 2)
    assert result["dropped"] == 2
    code, out, _ = segue("data", "collect", "--keep-days", "0")
    assert (code, out) == (
        0,
        "Collected: 0 requests, 0 new listeners.\nDropped from the journal: 2 records older than 0 days.\n",
    )
    assert json.loads(segue("data", "describe", "--json")[1])["counts"]["events"] == 6


def test_a_journal_is_kept_for_years_at_most(segue):
    code, _, error = segue("data", "collect", "--keep-days", 10**6)
    assert (code, "0<=x<=10000" in error) == (2, True)


def test_a_collection_says_what_changed_and_what_was_set_aside(segue, tmp_path):
    dataset.write(
        tmp_path / "home" / "data",
        Imported("tiny", ITEMS[:1], pa.table({"user_id": ["u1", "u2"]}), pa.table({
            "event_id": ["e1", "e2"], "user_id": ["u1", "u2"], "item_id": ["i1", "i1"],
            "ts": [utc_now()] * 2, "action": ["play"] * 2,
        })),
    )  # fmt: skip
    serve("r1", "u3")
    code, out, _ = segue("data", "collect")
    assert code == 0
    assert "Collected: 1 requests, 1 new listeners." in out
    assert "│ impression │ +1     │" in out
    assert "Quarantined: 2 x item_id is not in items" in out


@pytest.mark.slow
def test_a_cluster_s_journal_is_collected_into_the_object_store(segue, cluster, tmp_path):
    home = Home.from_env()
    with contextlib.closing(online_store.connect(settings())) as client:
        client.flushdb()
    serve("r1", "u1")
    serve("r2", "u2")
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\ni1,Amber River\ni2,Silver Bay\n")
    code, out, error = segue("data", "collect", "--items", items, "--json")
    assert code == 0, error
    assert json.loads(out)["added"] == {"impression": 4, "play": 2}
    elsewhere = Home(tmp_path / "elsewhere")
    parts.bring(elsewhere, parts.DATA)
    assert dataset.load(elsewhere.data).events()["event_id"].to_pylist().count("play-r1") == 1
    assert json.loads(segue("data", "collect", "--json")[1])["added"] == {}
    assert not home.journal.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "nowhere", "part"),
    [
        ("SEGUE_ONLINE_STORE", "redis://127.0.0.1:9/0", "online store"),
        ("SEGUE_OBJECTS_ENDPOINT", "http://127.0.0.1:9", "object store"),
    ],
)
def test_a_dead_store_is_named_and_the_journal_stays(segue, cluster, monkeypatch, variable, nowhere, part):
    with contextlib.closing(online_store.connect(settings())) as client:
        client.flushdb()
    serve("r1", "u1")
    with monkeypatch.context() as dead:
        dead.setenv(variable, nowhere)
        with soon():
            code, _, error = segue("data", "collect")
    assert (code, part in error, "fix:" in error) == (EXIT_RETRY, True, True), error
    with contextlib.closing(open_journal(Home.from_env(), settings())) as journal:
        assert [request.request_id for request in journal.keeping.changed("")] == ["r1"]
