"""The queue of the journal: bounded, one commit for many records, and errors that reach who handed the records over."""

import threading

import pytest

from events.journal import journal as journal_module
from events.journal.journal import Journal, open_journal
from events.journal.sqlite_keeping import SqliteKeeping
from segue.errors import InputError, UnavailableError
from stores.settings import Settings
from tests.support.soon import SECONDS


class SlowKeeping(SqliteKeeping):
    """Writes once it may, and counts its commits."""

    def __init__(self, path):
        super().__init__(path)
        self.may_write, self.commits = threading.Event(), 0

    def write(self, records):
        assert self.may_write.wait(SECONDS)
        self.commits += 1
        return super().write(records)


def test_a_full_queue_refuses_at_once_and_what_it_took_is_written(tmp_path, feedback):
    keeping = SlowKeeping(tmp_path / "journal.db")
    journal, taken = Journal(keeping, most_bytes=2000), []

    def fill():
        while len(taken) < 100:
            taken.append(journal.record([feedback(f"e{len(taken)}", "r1", "i1")]))

    with pytest.raises(UnavailableError, match="wait for the journal"):
        fill()
    assert 2 <= len(taken) < 20
    assert journal.backlog() == len(taken)
    keeping.may_write.set()
    assert [future.result(SECONDS) for future in taken] == [[True]] * len(taken)
    assert keeping.commits <= 2  # the first record, and all that came meanwhile
    journal.record([feedback("e", "r1", "i1")]).result(SECONDS)
    assert len(next(keeping.changed("")).feedback) == len(taken) + 1
    journal.close()


def test_pages_wait_for_each_other_and_feedback_waits_for_nothing(tmp_path, feedback, page, monkeypatch):
    monkeypatch.setattr(journal_module, "GATHER_SECONDS", 30.0)
    keeping = SlowKeeping(tmp_path / "journal.db")
    keeping.may_write.set()
    journal = Journal(keeping)
    pages = [journal.append(page(f"r{number}")) for number in range(5)]
    assert journal.record([feedback("e1", "r1", "i1")]).result(SECONDS) == [True]
    assert [future.result(0) for future in pages] == [[True]] * 5
    assert keeping.commits == 1
    journal.close()


def test_closing_writes_what_waits_and_then_takes_nothing(home, feedback, page):
    journal = open_journal(home, Settings())
    futures = [journal.record([feedback(f"e{number}", "r1", "i1")]) for number in range(20)]
    journal.close()
    assert all(future.result(0) == [True] for future in futures)
    with pytest.raises(UnavailableError, match="closed"):
        journal.append(page("r1"))
    assert home.journal.is_file()


def test_an_error_of_the_keeping_reaches_the_caller_and_the_next_records_are_written(tmp_path, feedback, monkeypatch):
    journal = Journal(SqliteKeeping(tmp_path / "journal.db"))
    write = journal.keeping.write

    def fail(records):
        monkeypatch.setattr(journal.keeping, "write", write)
        raise InputError("The file is damaged.")

    monkeypatch.setattr(journal.keeping, "write", fail)
    with pytest.raises(InputError, match="damaged"):
        journal.record([feedback("e1", "r1", "i1")]).result(SECONDS)
    assert "damaged" in str(journal.trouble)
    assert journal.record([feedback("e1", "r1", "i1")]).result(SECONDS) == [True]
    assert journal.trouble is None
    journal.close()


class RestartedKeeping(SqliteKeeping):
    """Does not answer so many times; the first time it has written."""

    failures = 0

    def write(self, records):
        new = super().write(records)
        if self.failures:
            self.failures -= 1
            raise UnavailableError("The server is starting.")
        return new


def test_a_keeping_that_does_not_answer_is_asked_again_and_its_records_are_new(tmp_path, feedback, monkeypatch):
    monkeypatch.setattr(journal_module, "PAUSES", (0.0, 0.0))
    keeping = RestartedKeeping(tmp_path / "journal.db")
    journal = Journal(keeping)
    keeping.failures = 2
    assert journal.record([feedback("e1", "r1", "i1")]).result(SECONDS) == [True]
    assert journal.trouble is None
    keeping.failures = 4
    with pytest.raises(UnavailableError, match="starting"):
        journal.record([feedback("e2", "r1", "i1")]).result(SECONDS)
    assert journal.trouble is not None
    with pytest.raises(UnavailableError):  # it is asked once while it has not answered
        journal.record([feedback("e3", "r1", "i1")]).result(SECONDS)
    assert journal.record([feedback("e4", "r1", "i1")]).result(SECONDS) == [True]
    assert journal.trouble is None
    journal.close()


def test_a_cancelled_future_changes_nothing(tmp_path, feedback):
    keeping = SlowKeeping(tmp_path / "journal.db")
    journal = Journal(keeping)
    future = journal.record([feedback("e1", "r1", "i1")])
    assert not future.cancel()
    keeping.may_write.set()
    assert future.result(SECONDS) == [True]
    journal.close()


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / "journal.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(InputError, match="must be a journal"):
        SqliteKeeping(tmp_path / "journal.db")
