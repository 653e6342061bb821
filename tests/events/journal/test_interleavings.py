"""Collecting a journal now and then gives the same events as collecting it once at the end."""

import os
import signal
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from events import dataset, quarantine
from events.journal.collect import aside_with, collect, reconciled
from events.journal.joins import ROWS, join
from events.journal.journal import Journal
from events.journal.records import Feedback, feedback_record, page_record
from events.journal.sqlite_keeping import SqliteKeeping
from tests.events.journal.conftest import NOON
from tests.support.killed import at_step

ITEMS = pa.table({"item_id": [f"i{n}" for n in range(9)], "title": [f"Title {n}" for n in range(9)]})
REQUESTS = ("r1", "r2")

feedbacks = st.builds(
    lambda number, request, item, action, user, minutes: Feedback(
        f"e{number}", request, user, None, f"i{item}", action, None, NOON + timedelta(minutes=minutes)
    ),
    st.integers(0, 30),  # ids repeat, also with other contents: the first counts
    st.sampled_from([*REQUESTS, *REQUESTS, "unknown"]),
    st.integers(1, 10),  # i9 and i10 are on the pages and not in the catalogue
    st.sampled_from(["impression", "play", "skip"]),
    st.sampled_from(["u0", "u0", "u0", "u1"]),  # u1 sends feedback about pages of u0
    st.integers(-60, 3000),
)
written = st.one_of(st.sampled_from(REQUESTS), st.lists(feedbacks, min_size=1, max_size=4))


def steps(*nexts: st.SearchStrategy) -> st.SearchStrategy:
    """Return lists of what is written, a page or a batch of feedback, and of what happens then."""
    return st.lists(st.tuples(written, st.one_of(*nexts)), min_size=4, max_size=10)


def sorted_rows(table: pa.Table) -> list[dict]:
    """Return the rows of a table in an order of their own."""
    return sorted(table.to_pylist(), key=str)


class InMemory:
    """Collects a keeping as `collect` does, into tables in memory."""

    def __init__(self, keeping: SqliteKeeping) -> None:
        self.keeping, self.cursor = keeping, ""
        self.events, self.aside = ROWS.empty_table(), quarantine.empty()

    def collect(self) -> None:
        """Join what has come."""
        cursor = self.keeping.newest()
        joined = join(self.keeping.changed(self.cursor), set(ITEMS["item_id"].to_pylist()))
        others = reconciled(self.events, joined)
        self.events = pa.concat_tables([others, pa.Table.from_pylist(joined.rows, ROWS)])
        self.aside, self.cursor = aside_with(self.aside, joined), cursor


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps(st.booleans()))
def test_any_interleaving_joins_to_the_events_of_one_collection_at_the_end(steps, page, tmp_path_factory):
    keeping = SqliteKeeping(tmp_path_factory.mktemp("journal") / "journal.db")
    often, once = InMemory(keeping), InMemory(keeping)
    for records, collects in steps:
        if isinstance(records, str):
            keeping.write([page_record(page(records))])
        else:
            keeping.write([feedback_record(one) for one in records])
        if collects:
            often.collect()
    often.collect()
    once.collect()
    keeping.close()
    assert sorted_rows(often.events) == sorted_rows(once.events)
    assert often.aside.equals(once.aside)


def killed_collection(path, data, step: int) -> None:
    """Collect in a process that is killed before its n-th step on files."""
    process = os.fork()
    if process == 0:
        try:
            at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL), str(data.parent))
            collect(Journal(SqliteKeeping(path)), data)
        finally:
            os._exit(0)
    os.waitpid(process, 0)


@pytest.mark.slow
@settings(
    max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
@given(steps=steps(st.sampled_from(["collect", "restart"]), st.integers(1, 120)))
def test_restarts_and_killed_collections_change_nothing(steps, page, imported, event, tmp_path_factory):
    folder = tmp_path_factory.mktemp("journal")
    often, once, path = folder / "often" / "data", folder / "once" / "data", folder / "journal.db"
    for data in (often, once):
        dataset.write(data, imported([event(-2), event(-1)], items=ITEMS))
    journal = Journal(SqliteKeeping(path))
    for records, then in steps:
        if isinstance(records, str):
            journal.append(page(records)).result()
        else:
            journal.record(records).result()
        if then == "collect":
            collect(journal, often)
            continue
        journal.close()
        if then != "restart":
            killed_collection(path, often, then)
        journal = Journal(SqliteKeeping(path))
    collect(journal, often)
    collect(journal, once)
    journal.close()
    tables = [dataset.load(data) for data in (often, once)]
    assert tables[0].events().equals(tables[1].events())
    assert tables[0].quarantine().equals(tables[1].quarantine())
    assert sorted(tables[0].users["user_id"].to_pylist()) == sorted(tables[1].users["user_id"].to_pylist())
