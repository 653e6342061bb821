"""The sample of served features is of the newest days, bounded, and the same however often it is drawn."""

from datetime import timedelta

import pyarrow as pa

from events.journal import served
from tests.events.journal.conftest import NOON


def table(requests: dict[str, float]) -> pa.Table:
    """Requests by id, each so many days after noon."""
    rows = [
        {"request_id": name, "user_id": "u", "ts": NOON + timedelta(days=day), "served": "{}"}
        for name, day in requests.items()
    ]
    return pa.Table.from_pylist(rows, served.SCHEMA)


def test_old_days_go_and_the_rows_are_in_the_order_of_time():
    kept = served.sample(table({"now": 7.1, "old": 0, "b": 0.2, "a": 0.2}))
    assert kept["request_id"].to_pylist() == ["a", "b", "now"]
    assert served.sample(served.SCHEMA.empty_table()).num_rows == 0


def test_a_day_has_a_share_that_does_not_depend_on_the_order(monkeypatch):
    monkeypatch.setattr(served, "A_DAY", 3)
    days = {f"r{n}": n % 2 for n in range(20)}
    once = served.sample(table(days))
    assert once.num_rows == 6
    often = served.SCHEMA.empty_table()
    for name in reversed(days):
        often = served.sample(pa.concat_tables([often, table({name: days[name]})]))
    assert often == once
