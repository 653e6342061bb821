"""The online store: refreshed, extended by pushes, read at a request."""

from contextlib import closing
from datetime import timedelta

import pyarrow as pa
import pytest

from events import schema
from events.journal.journal import open_journal
from events.journal.records import Feedback
from feature_repo import online, transformations
from feature_repo.feast_store import open_store, publish
from feature_repo.online import (
    HISTORY_COLUMNS,
    USER_VIEWS,
    listener,
    push_interaction,
    push_uncollected,
    refresh,
    session_state,
    state,
)
from segue.errors import InputError
from stores.settings import Settings
from tests.support.small_log import ITEMS, LOG

USERS = [{"user_id": "u", "country": "SE"}, {"user_id": "v"}, {"user_id": "x", "plan": "free"}]  # w has no profile


@pytest.fixture(scope="module")
def log(tmp_path_factory, make_log, make_items, ingest_tables):
    """`LOG` on disk."""
    users = pa.Table.from_pylist(USERS, schema=schema.USERS)
    return ingest_tables(tmp_path_factory.mktemp("online"), make_log(LOG), make_items(ITEMS), users)


@pytest.fixture(scope="module")
def refreshed(log):
    """A refreshed store that tests share; a test that pushes uses its own ids."""
    return log.refresh()


def history(store, user: str, ts) -> list[tuple]:
    """Return `(item, action, seconds)` of each interaction in a listener's online history."""
    features = listener(store, user).features_at(ts)
    return list(zip(*(features[name] or [] for name in HISTORY_COLUMNS), strict=True))


def test_a_refresh_writes_the_snapshot_and_the_running_day(refreshed, at):
    clocks = [(0, "12:00"), (3, "12:00"), (4, "09:00"), (4, "09:05")]
    seconds = [int(at(*clock).timestamp()) for clock in clocks]
    assert history(refreshed, "u", at(4, "12:00")) == [
        ("a", "play", seconds[0]), ("b", "skip", seconds[1]), ("a", "like", seconds[2]), ("b", "skip", seconds[3]),
    ]  # fmt: skip


def test_a_listener_of_the_running_day_has_only_a_history(refreshed, at):
    features = listener(refreshed, "w").features_at(at(4, "12:00"))
    assert features["history_items"] == ["b"]
    assert (features["country"], features["user_plays_7d"]) == (None, None)


def test_a_listener_who_only_signed_up_has_only_a_profile(refreshed, at):
    features = listener(refreshed, "x").features_at(at(4, "12:00"))
    assert (features["plan"], features["history_items"], features["user_plays_7d"]) == ("free", None, None)


def test_an_unknown_listener_is_an_error_with_a_fix(refreshed, at):
    with pytest.raises(InputError, match="'nobody' is not") as caught:
        listener(refreshed, "nobody").features_at(at(4, "12:00"))
    assert "Check the id" in caught.value.fix


def test_one_read_gives_the_newest_interaction_and_the_features(refreshed, at, monkeypatch):
    reads = []
    provider = refreshed._get_provider()
    read = provider.online_read
    monkeypatch.setattr(
        provider, "online_read", lambda config, view, *more: reads.append(view.name) or read(config, view, *more)
    )
    stored = listener(refreshed, "u")
    assert stored.newest == at(4, "09:05")
    assert stored.features_at(at(4, "12:00"))["user_plays_28d"] == 1
    assert reads == list(USER_VIEWS)


def test_each_view_keeps_its_own_stamp_in_the_shared_read(refreshed, at):
    # At 05:00 of day 5 the daily snapshot (stamp: day 4, 00:00) is stale. The push of day 4, 09:05 is newer than that.
    features = listener(refreshed, "u").features_at(at(5, "05:00"))
    assert (features["user_plays_28d"], len(features["history_items"])) == (None, 4)


@pytest.mark.parametrize(
    ("session", "plays", "skips"),
    [
        pytest.param("s4", 1, 1, id="a session of the running day"),
        pytest.param("s2", 0, 0, id="a session that ended before the last snapshot"),
        pytest.param("s0", 0, 0, id="a new session"),
        pytest.param(None, 0, 0, id="no session"),
    ],
)
def test_session_state(refreshed, session, plays, skips):
    assert session_state(refreshed, session) == {"session_plays": plays, "session_skips": skips}


@pytest.mark.parametrize(
    ("after", "known"),
    [
        pytest.param(timedelta(0), True, id="at the stamp"),
        pytest.param(timedelta(hours=12), True, id="within the ttl"),
        pytest.param(timedelta(days=1), True, id="at the end of the ttl"),
        pytest.param(timedelta(days=1, seconds=1), False, id="after the ttl"),
        pytest.param(timedelta(days=30), False, id="long after the ttl"),
    ],
)
@pytest.mark.parametrize("user", ["u", "v"])
def test_statistics_online_equal_the_point_in_time_join(refreshed, point_in_time, at, user, after, known):
    ts = at(4) + after
    online = listener(refreshed, user).features_at(ts)
    (joined,) = point_in_time(refreshed, [(user, "a", ts)])
    names = [name for name in joined if name in online]
    assert {name: online[name] for name in names} == {name: joined[name] for name in names}
    assert (online["user_plays_28d"] == 1) is known


def test_a_stale_snapshot_leaves_profile_and_history(refreshed, at):
    features = listener(refreshed, "u").features_at(at(30))
    assert (features["country"], len(features["history_items"]), features["genre_shares"]) == ("SE", 4, None)


def test_a_push_extends_history_and_session(refreshed, at):
    push_interaction(refreshed, "p1", "a", "play", at(4, "13:00:00.999"), "t1")
    push_interaction(refreshed, "p1", "b", "skip", at(4, "13:01"), "t1")
    push_interaction(refreshed, "p1", "b", "add", at(4, "13:02"), "t2")
    seconds = [int(at(4, clock).timestamp()) for clock in ("13:00", "13:01", "13:02")]
    assert history(refreshed, "p1", at(5)) == [
        ("a", "play", seconds[0]), ("b", "skip", seconds[1]), ("b", "add", seconds[2]),
    ]  # fmt: skip
    assert session_state(refreshed, "t1") == {"session_plays": 1, "session_skips": 1}
    assert session_state(refreshed, "t2") == {"session_plays": 1, "session_skips": 0}


def test_a_request_in_the_past_sees_no_later_features(refreshed, at):
    for n in range(3):
        push_interaction(refreshed, "p7", f"i{n}", "play", at(4, "13:00") + timedelta(minutes=n), None)
    assert listener(refreshed, "p7").newest == at(4, "13:02")
    assert listener(refreshed, "nobody").newest.year == 1970
    assert [item for item, *_ in history(refreshed, "p7", at(4, "13:01"))] == ["i0", "i1"]
    assert listener(refreshed, "u").features_at(at(4))["user_plays_28d"] == 1
    before = listener(refreshed, "u").features_at(at(3, "23:59"))  # the snapshot of day 3 ends at midnight
    assert before["user_plays_28d"] is None
    assert before["country"] == "SE"


def test_an_impression_changes_nothing(refreshed, at):
    push_interaction(refreshed, "p2", "a", "impression", at(4, "13:00"), "t3")
    assert session_state(refreshed, "t3") == {"session_plays": 0, "session_skips": 0}
    with pytest.raises(InputError):
        listener(refreshed, "p2").features_at(at(5))


def test_a_push_without_a_session_extends_the_history(refreshed, at):
    push_interaction(refreshed, "p3", "a", "play", at(4, "13:00"), None)
    assert [item for item, *_ in history(refreshed, "p3", at(5))] == ["a"]


def test_a_late_push_takes_its_place_in_the_history(refreshed, at):
    push_interaction(refreshed, "p5", "a", "play", at(4, "13:05"), None)
    push_interaction(refreshed, "p5", "b", "play", at(4, "13:01"), None)
    assert [item for item, *_ in history(refreshed, "p5", at(5))] == ["b", "a"]


@pytest.mark.parametrize(
    ("action", "naive", "rule"), [("plya", False, "Received 'plya'"), ("play", True, "needs a time zone")]
)
def test_a_push_with_an_unknown_action_or_without_a_time_zone_is_refused(refreshed, at, action, naive, rule):
    ts = at(4, "13:00")
    with pytest.raises(InputError, match=rule):
        push_interaction(refreshed, "p6", "a", action, ts.replace(tzinfo=None) if naive else ts, None)


def test_an_online_history_keeps_the_last_interactions(refreshed, at, monkeypatch):
    monkeypatch.setattr(transformations, "HISTORY", 3)  # 50 pushes would take seconds
    for n in range(5):
        push_interaction(refreshed, "p4", f"i{n}", "play", at(4, "13:00") + timedelta(seconds=n), None)
    assert [item for item, *_ in history(refreshed, "p4", at(5))] == ["i2", "i3", "i4"]


def test_a_refresh_records_what_is_online(log, refreshed, at):
    assert state(log.home) == {
        "dataset": "small", "sha256": "small", "last_event": at(4, "10:00").isoformat(), "collected": {},
    }  # fmt: skip


def test_before_the_first_refresh_there_is_no_state(home):
    with pytest.raises(InputError, match="No features are online yet") as caught:
        state(home)
    assert "segue run training" in caught.value.fix


def test_refreshing_twice_changes_nothing(ingest_log, tmp_path, at):
    log = ingest_log(tmp_path, LOG, ITEMS)
    contents = []
    for _ in range(2):
        store = log.refresh()
        contents.append(
            [listener(store, user).features_at(at(4, "12:00")) for user in "uvw"] + [session_state(store, "s4")]
        )
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_another_data_set_replaces_everything_online(ingest_log, tmp_path, at):
    first = ingest_log(tmp_path / "first", LOG, ITEMS)
    first.refresh()
    second = ingest_log(
        tmp_path / "second", "n a 0 12:00 play s9\nn a 1 12:00 play s9\nn a 2 12:00 play s9", ITEMS, "other"
    )
    publish(first.home, second.tables)
    refresh(first.home, second.folder, first.tables)
    store = open_store(first.home)
    assert state(first.home)["dataset"] == "other"
    assert listener(store, "n").features_at(at(2))["user_plays_28d"] == 2
    assert session_state(store, "s4") == {"session_plays": 0, "session_skips": 0}
    with pytest.raises(InputError):
        listener(store, "u").features_at(at(4))


@pytest.mark.slow
@pytest.mark.parametrize("gone", ["u", "v", "w"])
def test_a_refresh_removes_what_the_log_does_not_have(ingest_log, tmp_path, at, gone):
    first = ingest_log(tmp_path / "first", LOG, ITEMS)
    first.refresh()
    rest = "\n".join(line for line in LOG.splitlines() if not line.strip().startswith(gone))
    second = ingest_log(tmp_path / "second", rest, ITEMS)  # a data set of the same name
    reader = open_store(first.home)
    assert listener(reader, gone).newest > at(0)
    publish(first.home, second.tables)
    refresh(first.home, second.folder, second.tables)
    for store in (reader, open_store(first.home)):  # also a store that was opened before
        with pytest.raises(InputError):
            listener(store, gone).features_at(at(4, "12:00"))
        assert all(listener(store, user).newest > at(0) for user in {"u", "v", "w"} - {gone})
        session = {"u": "s4", "w": "s5"}.get(gone)  # the sessions of the running day
        assert session_state(store, session) == {"session_plays": 0, "session_skips": 0}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seg [v2]", "star*", "q?x", "p%20 #1", "a: b", "it's", 'dq"x é', "$HOME {x}"])
def test_a_home_may_have_any_name(ingest_log, tmp_path, at, name):
    for sibling in ("seg v", "starred", "qqx"):  # a name taken for a pattern would match these
        ingest_log(tmp_path / sibling, "n a 0 12:00 play s9", ITEMS)
    log = ingest_log(tmp_path / name, LOG, ITEMS)
    store = log.refresh()
    assert listener(store, "u").newest == at(4, "09:05")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "seg v", "starred", "qqx"])


def test_request_features_online_equal_the_point_in_time_join(refreshed, point_in_time, at):
    ts = at(4, "12:00")
    names = ["genre_affinity", "age_at_request_days"]
    references = [f"request_features:{name}" for name in names]
    row = {"user_id": "v", "item_id": "a", "request_ts": int(ts.timestamp())}
    online = refreshed.get_online_features(features=references, entity_rows=[row]).to_dict()
    (joined,) = point_in_time(refreshed, [("v", "a", ts)])
    # v plays only rock, and a is rock. It was released on day -2, six and a half days before the request.
    assert [online[name][0] for name in names] == [joined[name] for name in names] == [1.0, 6.5]


def test_a_refresh_goes_on_with_what_the_journal_has_and_the_log_has_not(ingest_log, tmp_path, at):
    """They came in another order, and one of them was pushed before."""
    log = ingest_log(tmp_path, LOG, ITEMS)
    late = [
        Feedback("e1", "r1", "u", "s9", "b", "skip", None, at(4, "11:00"), at(4, "11:09")),
        Feedback("e2", "r1", "u", "s9", "a", "play", 1000, at(4, "10:30"), at(4, "11:10")),
        Feedback("e3", "r1", "u", "s9", "a", "impression", None, at(4, "10:30"), at(4, "11:10")),
    ]
    with closing(open_journal(log.home, Settings())) as journal:
        journal.record(late).result()
        store = log.refresh()
        assert [(item, action) for item, action, _ in history(store, "u", at(5))][-2:] == [("a", "play"), ("b", "skip")]
        assert session_state(store, "s9") == {"session_plays": 1, "session_skips": 1}
        # Nothing is pushed twice; what came since is.
        assert push_uncollected(store, journal.keeping, state(log.home)) == 0
        journal.record([Feedback("e4", "r2", "u", "s9", "a", "like", None, at(4, "11:30"))]).result()
        assert push_uncollected(store, journal.keeping, state(log.home)) == 1
        # What the log has, up to its cursor, is not pushed again.
        collected = {"journal": journal.keeping.identity(), "cursor": journal.keeping.newest()}
        assert push_uncollected(log.store(), journal.keeping, {"collected": collected}) == 0


def test_what_is_pushed_while_a_refresh_builds_stays_online(ingest_log, tmp_path, at, monkeypatch):
    log = ingest_log(tmp_path, LOG, ITEMS)
    store, push = log.refresh(), online.push_uncollected
    came = [Feedback("e1", "r1", "u", "s9", "b", "skip", None, at(4, "11:00"), at(4, "11:09"))]
    read_from = []

    def push_and_then_one_comes(to, keeping, state):
        read_from.append(len(list(keeping.feedback(state["collected"].get("cursor", "")))))
        pushed = push(to, keeping, state)
        while came:
            one = came.pop()
            journal.record([one]).result()
            push_interaction(store, one.user_id, one.item_id, one.action, one.ts, one.session_id)
        return pushed

    monkeypatch.setattr(online, "push_uncollected", push_and_then_one_comes)
    with closing(open_journal(log.home, Settings())) as journal:
        journal.record([Feedback("e0", "r0", "u", "s9", "a", "play", None, at(4, "10:00"), at(4, "10:09"))]).result()
        online.refresh(log.home, log.folder, log.tables)
    assert history(store, "u", at(5))[-1][:2] == ("b", "skip")
    assert session_state(store, "s9") == {"session_plays": 1, "session_skips": 1}
    assert read_from == [1, 1]  # each interaction is read once
