"""The cluster's stores answer as the embedded ones do: on Redis, PostgreSQL and S3, which run on loopback."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime

import pyarrow.parquet as pq
import pytest

from events import dataset
from events.imported import Imported
from events.journal.journal import open_journal
from events.journal.records import Feedback
from feature_repo.feast_store import open_store, publish
from feature_repo.forget import forget, forget_features, forget_sessions
from feature_repo.online import listener, push_interaction, refresh, session_state, state
from feature_repo.pushes import Interaction, Pusher
from feature_repo.storage import cluster
from feature_repo.storage.cluster import entity_keys, kind
from segue.errors import InputError, UnavailableError
from stores import online_store, parts
from stores.settings import settings
from tests.support.small_log import ITEMS, LOG
from tests.support.soon import soon

pytestmark = pytest.mark.slow

WITHOUT_U = "\n".join(line for line in LOG.splitlines() if " u " not in line)


@pytest.fixture
def clean(cluster):
    """A client of an empty online store."""
    return online_store.connect(settings())


@pytest.fixture
def log(ingest_log, tmp_path):
    """`LOG` on disk."""
    return ingest_log(tmp_path / "log", LOG, ITEMS)


def columns(store, at: datetime) -> dict[str, list]:
    """All features of the ranking service, for every pair of a listener and an item."""
    pairs = [{"user_id": user, "item_id": item} for user in ("u", "v", "w", "nobody") for item in ("a", "b", "none")]
    rows = [{**pair, "session_id": "s4", "request_ts": int(at.timestamp())} for pair in pairs]
    return store.get_online_features(features=store.get_feature_service("ranking"), entity_rows=rows).to_dict()


def test_every_feature_is_the_same_as_in_the_embedded_stores(log, clean, monkeypatch, at):
    refresh(log.home, log.folder, log.tables)
    publish(log.home, log.tables)
    on_cluster, was_online = columns(open_store(log.home), at(5, "12:00")), state(log.home)
    monkeypatch.setenv("SEGUE_PROFILE", "embedded")
    for name in ("SEGUE_ONLINE_STORE", "SEGUE_REGISTRY", "SEGUE_OBJECTS"):
        monkeypatch.delenv(name)
    embedded = columns(log.refresh(), at(5, "12:00"))
    assert len(embedded) > 25
    assert on_cluster == embedded
    assert was_online == state(log.home)


def test_a_refresh_removes_what_the_log_does_not_have_and_nothing_of_others(log, clean, ingest_log, tmp_path, at):
    refresh(log.home, log.folder, log.tables)
    publish(log.home, log.tables)
    (of_u,) = (key for key in entity_keys(clean, "segue") if b"user_id" in key and key.endswith(b"\0usegue"))
    others = {of_u.removesuffix(b"segue") + b"mysegue": b"another project", b"segue": b"another application"}
    for key, value in others.items():
        clean.set(key, value)
    store = open_store(log.home)
    assert listener(store, "u").newest == at(4, "09:05")
    smaller = ingest_log(tmp_path / "smaller", WITHOUT_U, ITEMS)
    refresh(smaller.home, smaller.folder, smaller.tables)
    with pytest.raises(InputError, match="known to the online store"):
        listener(store, "u").features_at(at(5, "12:00"))
    assert listener(store, "v").newest == at(2, "12:00")
    assert {key: clean.get(key) for key in others} == others
    assert not [key for key in clean.scan_iter() if b"build_" in key]


def test_interactions_are_pushed_online(log, clean, at):
    refresh(log.home, log.folder, log.tables)
    publish(log.home, log.tables)
    push_interaction(open_store(log.home), "u", "a", "play", at(4, "10:00"), "s4")
    assert listener(open_store(log.home), "u").newest == at(4, "10:00")


def test_what_is_pushed_while_a_refresh_builds_stays_online(log, clean, at, monkeypatch):
    publish(log.home, log.tables)
    refresh(log.home, log.folder, log.tables)
    replace = cluster.replace

    def replace_late(now, shared, definitions, fill, state):
        def fill_and_push(built):
            fill(built)
            journal.record(
                [Feedback("e1", "r1", "u", "s9", "b", "skip", None, at(4, "11:00"), at(4, "11:09"))]
            ).result()
            push_interaction(open_store(log.home), "u", "b", "skip", at(4, "11:00"), "s9")

        replace(now, shared, definitions, fill_and_push, state)

    monkeypatch.setattr(cluster, "replace", replace_late)
    with closing(open_journal(log.home, settings())) as journal:
        refresh(log.home, log.folder, log.tables)
    assert listener(open_store(log.home), "u").newest == at(4, "11:00")
    assert session_state(open_store(log.home), "s9") == {"session_plays": 0, "session_skips": 1}


def test_two_pushers_of_one_listener_lose_nothing(log, clean, at):
    refresh(log.home, log.folder, log.tables)
    publish(log.home, log.tables)

    def push(part):
        pusher = Pusher(open_store(log.home))
        for n in range(20):
            new = Interaction("p", f"i{part}-{n}", "play", at(4, "10:00"), "s6")
            assert pusher.extend([new]) == [True]
            assert pusher.extend([new]) == [False]  # a push is repeated after an answer that did not come

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(push, range(2)))
    store = open_store(log.home)
    history = listener(store, "p").features_at(at(5))["history_items"]
    assert sorted(history) == sorted(f"i{part}-{n}" for part in range(2) for n in range(20))
    assert session_state(store, "s6") == {"session_plays": 40, "session_skips": 0}


def test_a_listener_whom_a_run_on_kubeflow_brings_back_is_forgotten_again(log, clean, at):
    tables = {name: pq.read_table(log.folder / f"{name}.parquet") for name in ("items", "users", "events")}
    parts.change(log.home, parts.DATA, lambda: dataset.write(log.home.data, Imported("small", **tables)))
    publish(log.home, log.tables)
    refresh(log.home, log.folder, log.tables)
    result = forget(log.home, "u", at(6))
    assert result["online"]
    assert [line for line in result["remains"] if "Kubeflow" in line and "again after its end" in line]
    assert [line for line in result["remains"] if "Earlier revisions of the log" in line]
    publish(log.home, log.tables)  # the run began before
    refresh(log.home, log.folder, log.tables)
    again = forget(log.home, "u", at(6))
    assert (again["online"], again["deleted"]["events"]) == (True, 0)
    with pytest.raises(InputError, match="is in none"):
        forget(log.home, "u", at(6))


def test_a_forgotten_listener_is_gone_from_redis_and_from_the_tables(log, clean):
    refresh(log.home, log.folder, log.tables)
    publish(log.home, log.tables)
    assert forget_features(log.home, "u")
    assert not forget_features(log.home, "u")
    forget_sessions(log.home, {"s5"})
    assert [kind(key, "segue") for key in entity_keys(clean, "segue")].count("session_id") <= 1
    history = open_store(log.home).get_feature_view("user_history").batch_source
    from feature_repo.feast_store import read_source

    assert set(read_source(history, "").to_pyarrow()["user_id"].to_pylist()) == {"v"}


def test_nothing_online_is_said(log, clean):
    with pytest.raises(InputError, match="No features are online"):
        state(log.home)


@pytest.mark.parametrize("server", ["valkey", "postgres"])
def test_a_dead_server_is_named_soon(log, clean, request, server):
    refresh(log.home, log.folder, log.tables)
    killed = request.getfixturevalue(server)
    os.kill(killed.pid, signal.SIGKILL)
    try:
        with soon(), pytest.raises(UnavailableError, match={"valkey": "online store", "postgres": "registry"}[server]):
            publish(log.home, log.tables) if server == "postgres" else refresh(log.home, log.folder, log.tables)
    finally:
        killed.start()
    refresh(log.home, log.folder, log.tables)
    publish(log.home, log.tables)
