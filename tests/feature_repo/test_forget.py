"""A forgotten listener is neither online nor in the published tables, and no run is at work meanwhile."""

from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from feature_repo.forget import forget, forget_online, forget_tables
from feature_repo.online import USER_VIEWS, listener
from segue.errors import InputError, UnavailableError
from segue.lock import locked

ITEMS = "a music rock 2026-01-03\nb podcast pop -"
# Snapshots end with day 3. On day 4, which is still running, u goes on and w appears.
LOG = """
    u a 0 12:00 play s1
    u b 3 12:00 skip s2
    v a 2 12:00 play s3
    u a 4 09:00 like s4
    u b 4 09:05 skip s4
    w b 4 10:00 play s5
"""


@pytest.mark.parametrize("user", ["u", "v", "w"])
def test_a_forgotten_listener_is_neither_online_nor_in_the_published_tables(ingest_log, tmp_path, at, user):
    log = ingest_log(tmp_path, LOG, ITEMS)
    store = log.refresh()
    assert forget_online(log.home, user)
    forget_tables(log.home, user)
    with pytest.raises(InputError):
        listener(store, user).features_at(at(4, "12:00"))
    for view in USER_VIEWS:
        assert user not in pq.read_table(log.tables / f"{view}.parquet")["user_id"].to_pylist()
    assert all(listener(store, other).newest > at(0) for other in {"u", "v", "w"} - {user})
    assert not forget_online(log.home, user)


def test_nothing_is_forgotten_while_a_run_is_at_work(home):
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    with locked(home.lock, "segue run training", noon), pytest.raises(UnavailableError, match="segue run training"):
        forget(home, "u", noon)
