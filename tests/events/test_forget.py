"""A forgotten listener is in no table of the data set."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from events import dataset
from events.forget import forget
from events.journal.served import SCHEMA
from segue.errors import InputError
from segue.files import tree_sha256
from tests.support.killed import killed_at_each_step


@pytest.fixture
def data(event, imported, tmp_path):
    """A data set of three listeners, with one quarantined row and one page's features of two of them."""
    events = [event(0), event(1), event(2), event(3, user_id="u2"), event(4, action="hum"), event(5, action="hum")]
    users = pa.table({"user_id": ["u0", "u1", "u2"]})
    pages = [
        {"request_id": f"r-{user}", "user_id": user, "ts": datetime(2026, 1, 5, tzinfo=UTC), "served": "{}"}
        for user in ("u0", "u1")
    ]
    served = pa.Table.from_pylist(pages, SCHEMA)
    dataset.write(tmp_path / "data", replace(imported(events, users=users), served=served))
    return tmp_path / "data"


@pytest.mark.parametrize(("user", "count"), [("u0", 2), ("u1", 1)])
def test_a_forgotten_listener_is_in_no_table(data, user, count):
    assert forget(data, user) == {"users": 1, "events": count, "served": 1, "quarantine": 1}
    tables = dataset.load(data)
    for table in (tables.users, tables.events(), tables.served()):
        assert table.num_rows
        assert user not in table["user_id"].to_pylist()
    assert [user in record for record in tables.quarantine()["record"].to_pylist()] == [False]
    assert tables.manifest["counts"]["events"] == 4 - count


def test_the_other_listeners_keep_their_rows(data):
    forget(data, "u0")
    assert dataset.load(data).events()["event_id"].to_pylist() == ["e1", "e3"]


def test_an_unknown_listener_changes_nothing(data):
    before = tree_sha256(data)
    assert not any(forget(data, "nobody").values())
    assert tree_sha256(data) == before


def test_two_listeners_remain(data):
    forget(data, "u0")
    before = tree_sha256(data)
    with pytest.raises(InputError, match="two users"):
        forget(data, "u1")
    assert tree_sha256(data) == before


@pytest.mark.slow
def test_a_forgetting_that_is_killed_at_any_step_keeps_the_log_or_begins_another(data):
    before = dataset.load(data)
    seen = []
    for _ in killed_at_each_step(lambda: forget(data, "u0"), every=4):
        tables = dataset.load(data)
        known = "u0" in tables.users["user_id"].to_pylist()
        assert known == (tables.manifest["log"] == before.manifest["log"])
        seen.append(known)
        if not known:
            break
    assert seen[0]
    assert not seen[-1]
    assert tables.manifest["mapping"] == before.manifest["mapping"]
