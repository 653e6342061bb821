"""The gateway as it is opened over a home, without a model server and an online store."""

import asyncio
import contextlib

import pytest

from events.journal.journal import Journal
from events.journal.records import Dislike
from events.journal.sqlite_keeping import SqliteKeeping
from segue.errors import UnavailableError
from surfaces.gateway import assembly
from tests.support.soon import SECONDS
from tests.surfaces.conftest import NOW
from tests.surfaces.gateway.conftest import catalogue


class NoStore:
    """Stands in for the hydrator of a home whose online store does not answer."""

    def __init__(self, home):
        pass

    def open(self):
        raise UnavailableError("the online store is down", "")

    def close(self):
        pass


@pytest.fixture
def journal(home):
    """A journal with a dislike of `u1`."""
    with contextlib.closing(Journal(SqliteKeeping(home.journal))) as journal:
        journal.dislike(Dislike("d1", "u1", "20", NOW)).result(SECONDS)
        yield journal


@pytest.fixture
def known_at_once(home, journal, monkeypatch):
    """The dislikes of `u1` that a gateway over the journal knows when it begins to serve."""
    monkeypatch.setattr(assembly, "read_warm", lambda home: catalogue())
    monkeypatch.setattr(assembly, "Hydrator", NoStore)

    def of():
        async def run():
            async with assembly.open_gateway(home, "127.0.0.1:1", journal, lambda: NOW) as gateway:
                return gateway.dislikes.of("u1")

        return asyncio.run(run())

    return of


def test_dislikes_hold_from_the_first_request(known_at_once):
    assert known_at_once() == ("20",)


def test_a_journal_that_does_not_answer_does_not_keep_the_gateway_from_serving(known_at_once, journal, monkeypatch):
    def down(after):
        raise UnavailableError("the journal is down", "wait")

    monkeypatch.setattr(journal.keeping, "dislikes", down)
    assert known_at_once() == ()
