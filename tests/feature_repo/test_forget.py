"""A forgotten listener is neither online nor in the published tables, and no run is at work meanwhile."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from events import dataset
from events.imported import Imported
from events.journal.journal import open_journal
from events.journal.records import Feedback
from feature_repo.feast_store import open_store
from feature_repo.forget import forget, forget_features
from feature_repo.online import USER_VIEWS, listener, push_interaction
from segue.errors import InputError, UnavailableError
from segue.lock import locked
from stores.settings import Settings
from tests.support.small_log import ITEMS, LOG


@pytest.mark.parametrize("user", ["u", "v", "w"])
def test_a_forgotten_listener_is_neither_online_nor_in_the_published_tables(ingest_log, tmp_path, at, user):
    log = ingest_log(tmp_path, LOG, ITEMS)
    store = log.refresh()
    assert forget_features(log.home, user)
    with pytest.raises(InputError):
        listener(store, user).features_at(at(4, "12:00"))
    for view in USER_VIEWS:
        assert user not in pq.read_table(log.tables / f"{view}.parquet")["user_id"].to_pylist()
    assert all(listener(store, other).newest > at(0) for other in {"u", "v", "w"} - {user})
    assert not forget_features(log.home, user)


def rows_online(home) -> str:
    """Return all that the tables of the online store hold, keys and values, as text."""
    with closing(sqlite3.connect(open_store(home).config.online_store.path)) as live:
        tables = [name for (name,) in live.execute("select name from sqlite_master where type = 'table'")]
        rows = [row for name in tables for row in live.execute(f'select * from "{name}"')]
    return "\n".join(str(row) for row in rows)


@pytest.mark.parametrize(
    ("user", "sessions"), [("listener-u", ["session-4", "session-9"]), ("listener-w", ["session-5", "session-9"])]
)
def test_nothing_of_a_forgotten_listener_is_online_in_any_view(ingest_log, tmp_path, at, user, sessions):
    """session-9 was pushed for this listener after the log, so only the push knew whose it is."""
    text = re.sub(r"\bs(\d)", r"session-\1", re.sub(r"(?m)^(\s*)([uvw]) ", r"\1listener-\2 ", LOG))
    log = ingest_log(tmp_path, text, ITEMS)
    store = log.refresh()
    tables = {name: pq.read_table(log.folder / f"{name}.parquet") for name in ("items", "users", "events")}
    dataset.write(log.home.data, Imported("small", **tables))
    push_interaction(store, user, "a", "play", at(5), "session-9")
    before = rows_online(log.home)
    assert all(word in before for word in [user, *sessions, "session-4", "session-5"])

    assert forget(log.home, user, at(6))["online"]

    after = rows_online(log.home)
    assert [word for word in [user, *sessions] if word in after] == []
    published = pq.read_table(log.tables / "session_context.parquet")["session_id"].to_pylist()
    others = {"session-4", "session-5"} - set(sessions)
    assert set(published) == others
    assert all(word in after for word in others)


def test_a_forgotten_listener_is_not_in_the_journal_either(ingest_log, tmp_path, at):
    log = ingest_log(tmp_path, LOG, ITEMS)
    tables = {name: pq.read_table(log.folder / f"{name}.parquet") for name in ("items", "users", "events")}
    dataset.write(log.home.data, Imported("small", **tables))
    journal = open_journal(log.home, Settings())
    journal.record([
        Feedback("f1", "r1", "known-to-the-journal-alone", None, "a", "play", None, at(5)),
        Feedback("f2", "r2", "v", None, "a", "play", None, at(5)),
    ]).result()  # fmt: skip
    result = forget(log.home, "known-to-the-journal-alone", at(6))
    assert result["deleted"] == {"users": 0, "events": 0, "served": 0, "quarantine": 0, "journal": 1}
    assert [request.request_id for request in journal.keeping.changed("")] == ["r2"]
    for file in log.home.journal.parent.iterdir():
        assert b"known-to-the-journal-alone" not in file.read_bytes()
    journal.close()


def test_an_unknown_listener_leaves_the_sessions(ingest_log, tmp_path, at):
    log = ingest_log(tmp_path, LOG, ITEMS)
    store = log.refresh()
    tables = {name: pq.read_table(log.folder / f"{name}.parquet") for name in ("items", "users", "events")}
    dataset.write(log.home.data, Imported("small", **tables))
    push_interaction(store, "u", "a", "play", at(5), "session-9")
    with pytest.raises(InputError, match="is in none"):
        forget(log.home, "nobody", at(6))
    assert "session-9" in rows_online(log.home)


def test_nothing_is_forgotten_while_a_run_is_at_work(home):
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    with locked(home.lock, "segue run training", noon), pytest.raises(UnavailableError, match="segue run training"):
        forget(home, "u", noon)
