"""The next-item benchmark on a small trained home."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.surfaces import next_item
from benchmarks.surfaces.held_out_sessions import HISTORY, read
from events import schema
from events.dataset import load

pytestmark = pytest.mark.slow


def test_every_contestant_predicts_the_same_plays(trained):
    result = next_item.run(trained.home, print, most_sessions=10)
    assert result["sessions"] == 10
    assert set(next_item.PEERS) | {next_item.NAME} <= set(result["contestants"])
    for figures in result["contestants"].values():
        assert 0 <= figures["low"] <= figures["mrr"] <= figures["high"] <= 1
    assert set(result["targets"]) == {f"ahead_of_{name}" for name in next_item.PEERS}


def test_nothing_of_the_future_is_known(trained):
    held_out = read(trained.home, None)
    end = held_out.split.validation_end.timestamp()
    assert max(entry.micros for history in held_out.histories.values() for entry in history) / 1e6 < end
    assert max(at for at, _ in held_out.past.values()) / 1e6 < end
    for one in held_out.predictions:
        times = [entry.micros for entry in (*one.before, *one.so_far)]
        assert times == sorted(times)
        assert one.so_far[0].micros / 1e6 >= end
        assert one.target not in {entry.item_id for entry in one.so_far}
        assert one.session not in held_out.past


def test_the_history_before_a_session_is_all_of_the_log_before_it(trained):
    held_out = read(trained.home, None)
    log = load(trained.home.data).events().sort_by([("ts", "ascending"), ("event_id", "ascending")])
    log = log.filter(pc.is_in(log["action"], pa.array(schema.INTERACTIONS)))
    of_listener: dict[str, list[tuple[str, str, int]]] = {}
    columns = (log["user_id"].to_pylist(), log["item_id"].to_pylist(), log["action"].to_pylist())
    for user, item, action, at in zip(*columns, log["ts"].cast(pa.int64()).to_pylist(), strict=True):
        of_listener.setdefault(user, []).append((item, action, at))
    for one in held_out.predictions:
        first = one.so_far[0]
        whole = of_listener[one.user_id]
        past = whole[: whole.index((first.item_id, first.action, first.micros))]
        assert [(entry.item_id, entry.action, entry.micros) for entry in one.before] == past[-HISTORY:]
