"""The contract of a keeping of the journal, over each keeping."""

import contextlib
import threading
import time
from datetime import timedelta

import pytest

from events.journal.journal import Journal, open_journal
from events.journal.keeping import tombstone
from events.journal.records import Dislike, microseconds, page_record, read_dislike, read_feedback, read_page
from events.journal.redis_keeping import RedisKeeping
from events.journal.sqlite_keeping import SqliteKeeping
from segue.errors import InputError, UnavailableError
from stores import online_store
from tests.events.journal.conftest import NOON

LIMITS = {"sqlite": {"most_bytes": 120_000}, "redis": {"most_records": 20}}


@pytest.fixture(params=["sqlite", "redis"])
def open_keeping(request, tmp_path):
    """A function that opens the keeping, as another process would. It is empty at first."""
    if request.param == "sqlite":
        return lambda **limits: SqliteKeeping(tmp_path / "journal.db", **limits)
    settings = request.getfixturevalue("redis_settings")
    return lambda **limits: RedisKeeping(settings, **limits)


@pytest.fixture
def journal(open_keeping):
    """An open journal."""
    journal = Journal(open_keeping())
    yield journal
    journal.close()


class TestKeeping:
    """What every keeping does."""

    def test_what_is_written_is_there_after_a_restart(self, open_keeping, page, feedback):
        journal = Journal(open_keeping())
        assert journal.append(page("r1")).result() == [True]
        assert journal.record([feedback("e1", "r1", "i3")]).result() == [True]
        identity = journal.keeping.identity()
        journal.close()
        journal = Journal(open_keeping())
        assert journal.exposures("r1") == page("r1")
        assert journal.exposures("r2") == []
        assert journal.keeping.identity() == identity
        journal.close()

    def test_an_event_id_counts_once_in_a_batch_across_batches_and_across_restarts(self, open_keeping, feedback):
        journal = Journal(open_keeping())
        first, again = feedback("e1", "r1", "i3"), feedback("e1", "r1", "i3", "skip")
        assert journal.record([first, again, feedback("e2", "r1", "i3")]).result() == [True, False, True]
        assert journal.record([again]).result() == [False]
        journal.close()
        journal = Journal(open_keeping())
        assert journal.record([again]).result() == [False]
        (changed,) = journal.keeping.changed("")
        assert [read_feedback(body).action for body in changed.feedback] == ["play", "play"]
        journal.close()

    def test_the_first_page_of_a_request_stays(self, journal, page):
        assert journal.append(page("r1")).result() == [True]
        assert journal.append(page("r1", items=3)).result() == [False]
        assert len(journal.exposures("r1")) == 10

    def test_an_event_may_have_the_id_of_a_request(self, journal, page, feedback):
        journal.append(page("r1"))
        assert journal.record([feedback("r1", "r1", "i1")]).result() == [True]

    def test_a_request_changes_with_its_feedback_and_with_its_page(self, journal, page, feedback):
        def changed(after):
            return {request.request_id: request for request in journal.keeping.changed(after)}

        journal.append([*page("r1"), *page("r2")])
        journal.record([feedback("e1", "r1", "i1"), feedback("e3", "r3", "i1")]).result()
        requests = changed("")
        assert requests.keys() == {"r1", "r3"}  # nobody has done anything with r2
        assert read_page(requests["r1"].page) == page("r1")
        assert requests["r3"].page is None
        cursor = journal.keeping.newest()
        assert changed(cursor) == {}
        journal.append(page("r3"))
        journal.record([feedback("e2", "r1", "i2")]).result()
        requests = changed(cursor)
        assert requests.keys() == {"r1", "r3"}
        assert [read_feedback(body).event_id for body in requests["r1"].feedback] == ["e1", "e2"]
        assert requests["r3"].page is not None

    def test_nothing_of_a_forgotten_listener_is_left(self, journal, page, feedback):
        journal.append([*page("r1"), *page("r2", user_id="u1")])
        journal.record([feedback("e1", "r1", "i1"), feedback("e2", "r2", "i1", user_id="u1")]).result()
        assert journal.keeping.forget("u0") == 2
        assert journal.keeping.forget("u0") == 0
        assert journal.exposures("r1") == []
        assert [request.request_id for request in journal.keeping.changed("")] == ["r2"]
        assert journal.record([feedback("e1", "r1", "i1")]).result() == [True]

    def test_a_forgotten_listener_leaves_a_tombstone_that_does_not_name_the_listener(self, journal, open_keeping):
        other = open_keeping()
        for user in ("u0", "u1", "u0"):
            journal.keeping.forget(user)
        forgotten = other.forgotten()
        other.close()
        assert len(forgotten) == 3
        first, second, third = forgotten.values()
        assert first == third == tombstone(journal.keeping.identity(), "u0") != second
        assert "u0" not in first

    def test_dislikes_stay_until_their_listener_is_forgotten(self, journal, open_keeping, page, feedback):
        said = [Dislike(f"d{n}", user, f"i{n}", NOON) for n, user in enumerate(("u0", "u1", "u0"))]
        journal.append(page("r1"))
        journal.record([feedback("e1", "r1", "i1")])
        assert [journal.dislike(one).result() for one in (*said, said[0])] == [[True]] * 3 + [[False]]
        bodies, place = journal.keeping.dislikes("")
        assert [read_dislike(body) for body in bodies] == said
        assert journal.keeping.dislikes(place) == ([], place)
        back = Dislike("d9", "u0", "i0", NOON, withdrawn=True)
        journal.dislike(back).result()
        assert [read_dislike(body) for body in journal.keeping.dislikes(place)[0]] == [back]
        # Neither a collection nor the retention sees them.
        assert [len(request.feedback) for request in journal.keeping.changed("")] == [1]
        assert journal.keeping.drop(microseconds(NOON + timedelta(days=9)), journal.keeping.newest()) == 2
        assert len(journal.keeping.dislikes("")[0]) == 4
        assert journal.keeping.forget("u0") == 3
        other = open_keeping()
        assert [read_dislike(body).user_id for body in other.dislikes("")[0]] == ["u1"]
        other.close()

    def test_an_old_request_goes_as_a_whole_once_it_was_collected(self, journal, page, feedback):
        old, new = NOON, NOON + timedelta(days=2)
        journal.append([*page("old", ts=old), *page("new", ts=new)])
        journal.record([
            feedback("e1", "old", "i1", ts=new),
            feedback("e2", "new", "i1", ts=old),  # a clock that is slow
            feedback("e3", "none", "i1", ts=old),
            feedback("e4", "none", "i1", ts=new),
        ]).result()  # fmt: skip
        cursor = journal.keeping.newest()
        journal.append(page("late", ts=old)).result()
        border = microseconds(NOON + timedelta(days=1))
        assert journal.keeping.drop(border, "") == 0
        assert journal.keeping.drop(border, cursor) == 3
        kept = {
            request.request_id: [read_feedback(b).event_id for b in request.feedback]
            for request in journal.keeping.changed("")
        }
        assert kept == {"new": ["e2"], "none": ["e4"]}
        assert (len(journal.exposures("old")), len(journal.exposures("late"))) == (0, 10)

    def test_a_part_of_what_is_new(self, journal, page, feedback):
        journal.record([feedback(f"e{number}", f"r{number // 3}", "i1") for number in range(9)]).result()
        journal.append(page("r0")).result()
        keeping, cursor, seen, newest = journal.keeping, "", [], journal.keeping.newest()
        while cursor != newest:
            before, cursor = cursor, keeping.ahead(cursor, 4, newest)
            seen.append({one.request_id: len(one.feedback) for one in keeping.changed(before, cursor)})
        assert 1 < len(seen) < 9
        assert all(set(part.values()) == {3} for part in seen)  # all of a request's, whatever is new
        assert {request for part in seen for request in part} == {"r0", "r1", "r2"}
        assert keeping.ahead(newest, 4, newest) == newest

    def test_a_place_whose_record_is_gone_is_reached(self, journal, page, feedback):
        journal.append([*page("r1"), *page("r2", user_id="u1")])
        journal.record([feedback("e1", "r1", "i1"), feedback("e2", "r2", "i1", user_id="u1")]).result()
        keeping, newest, cursor, reads = journal.keeping, journal.keeping.newest(), "", 0
        assert keeping.forget("u1") == 2  # the newest of both kinds
        while cursor != newest and reads < 9:
            cursor, reads = keeping.ahead(cursor, 1, newest), reads + 1
        assert cursor == newest
        assert keeping.ahead(newest, 1, keeping.newest()) == keeping.newest()  # which lies before it now
        journal.append(page("r3")).result()
        assert keeping.ahead(newest, 1, keeping.newest()) == keeping.newest()

    def test_the_feedback_after_a_cursor_comes_in_its_order(self, journal, page, feedback):
        journal.record([feedback("e1", "r1", "i1")]).result()
        cursor = journal.keeping.newest()
        journal.append(page("r1")).result()
        journal.record([feedback("e3", "r1", "i1"), feedback("e2", "r2", "i1")]).result()
        assert [read_feedback(body).event_id for body in journal.keeping.feedback(cursor)] == ["e3", "e2"]
        assert [read_feedback(body).event_id for body in journal.keeping.feedback("")] == ["e1", "e3", "e2"]
        assert list(journal.keeping.feedback(journal.keeping.newest())) == []

    def test_records_of_several_threads_are_all_written_in_the_order_of_each(self, journal, feedback):
        def send(user):
            for number in range(50):
                journal.record([feedback(f"{user}-{number:02}", user, "i1", user_id=user)])

        threads = [threading.Thread(target=send, args=[f"u{user}"]) for user in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        journal.record([]).result()
        for request in journal.keeping.changed(""):
            ids = [read_feedback(body).event_id for body in request.feedback]
            assert ids == [f"{request.request_id}-{number:02}" for number in range(50)]
        assert journal.backlog() == 0

    def test_of_two_writers_that_send_the_same_events_each_event_is_new_to_one(self, open_keeping, feedback):
        journals = [Journal(open_keeping()), Journal(open_keeping())]
        sent = [journal.record([feedback(f"e{number}", "r1", "i1")]) for number in range(100) for journal in journals]
        assert sum(new for future in sent for new in future.result()) == 100
        (request,) = journals[0].keeping.changed("")
        assert len(request.feedback) == 100
        for journal in journals:
            journal.close()

    def test_a_full_keeping_refuses_and_takes_records_again_once_old_ones_are_gone(self, open_keeping, page, request):
        journal, new = Journal(open_keeping(**LIMITS[request.node.callspec.params["open_keeping"]])), []

        def fill():
            while len(new) < 1000:
                new.extend(journal.append(page(f"r{len(new)}", items=100)).result())

        with pytest.raises(UnavailableError, match="collect"):
            fill()
        count = len(new)
        assert count > 5
        assert len(journal.exposures("r0")) == 100
        assert journal.keeping.drop(microseconds(NOON) + 1, journal.keeping.newest()) == count
        assert journal.append(page("r0")).result() == [True]
        journal.close()


def test_a_server_that_keeps_nothing_is_refused(redis_settings, home):
    with contextlib.closing(online_store.connect(redis_settings)) as client:
        client.config_set("appendonly", "no")
        with pytest.raises(InputError, match="appendonly is off"):
            open_journal(home, redis_settings)
        client.config_set("appendonly", "yes")
        while client.info("persistence")["aof_rewrite_in_progress"]:  # until then the file is the old one
            time.sleep(0.01)


def test_a_server_that_is_killed_is_named_and_has_what_it_acknowledged(redis_settings, valkey, feedback, page):
    journal = Journal(RedisKeeping(redis_settings))
    assert journal.append(page("r1")).result() == [True]
    sent = [journal.record([feedback(f"e{number}", "r1", "i1")]) for number in range(50)]
    assert all(future.result() == [True] for future in sent)
    valkey.kill()
    try:
        with pytest.raises(UnavailableError, match="does not answer"):
            journal.record([feedback("e50", "r1", "i1")]).result()
    finally:
        valkey.start()
    assert journal.exposures("r1") == page("r1")
    (request,) = journal.keeping.changed("")
    assert len(request.feedback) == 50
    assert journal.record([feedback("e49", "r1", "i1"), feedback("e50", "r1", "i1")]).result() == [False, True]
    journal.close()


def test_the_journal_leaves_the_online_store_its_share_of_the_memory(redis_settings, page):
    with contextlib.closing(online_store.connect(redis_settings)) as client:
        keeping = RedisKeeping(redis_settings)
        try:
            assert keeping.write([page_record(page("r1"))]) == [True]
            client.config_set("maxmemory", int(client.info("memory")["used_memory"] / 0.85))
            with pytest.raises(UnavailableError, match="takes no record: its server uses more than 80% of its maxmem"):
                keeping.write([page_record(page("r2"))])
            client.set("online", "x" * 100)  # a push
            client.config_set("maxmemory", int(client.info("memory")["used_memory"] / 0.5))
            assert keeping.write([page_record(page("r2"))]) == [True]
        finally:
            client.config_set("maxmemory", 0)
            keeping.close()


def test_a_server_without_memory_can_still_be_collected(redis_settings, page):
    with contextlib.closing(online_store.connect(redis_settings)) as client:
        keeping = RedisKeeping(redis_settings)
        identity = keeping.identity()
        keeping.write([page_record(page("r1"))])
        try:
            client.config_set("maxmemory", 1)
            assert keeping.identity() == identity
            assert keeping.drop(microseconds(NOON) + 1, keeping.newest()) == 1
        finally:
            client.config_set("maxmemory", 0)
            keeping.close()
