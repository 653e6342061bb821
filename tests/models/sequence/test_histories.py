"""Training rows hold each prediction once, and no entry of another listener or of the future."""

import numpy as np
import pyarrow as pa
import pytest

from events import schema
from models.inputs.vocabulary import Lookup
from models.sequence.histories import Histories, Windows, cut, first_fit, pack, requests, targets, ties
from segue.errors import InputError


def histories(*lengths: int) -> Histories:
    """Histories of the given lengths.

    Entry n of listener u has the item 1000 u + n + 1, the time 10 n, a request 4 seconds earlier, an action and surface
    from 1 to 3, and the weight n + 1.
    """
    item = np.concatenate([1000 * u + np.arange(n) + 1 for u, n in enumerate(lengths)]).astype(np.int32)
    n = item % 1000 - 1
    code = (n % 3 + 1).astype(np.int32)
    offsets = np.cumsum([0, *lengths])
    time = 10 * n.astype(np.int64)
    return Histories(item, code, code, time, time - 4, np.ones(len(item), bool), (n + 1).astype(np.float32), offsets)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_every_entry_is_predicted_once(seed):
    entries = histories(5, 1, 12, 30, 2, 0)
    rows = pack(entries, 8, None if seed is None else np.random.default_rng(seed))
    predicted = np.sort(rows["next_item"][rows["segment"] > 0])
    np.testing.assert_array_equal(predicted, entries.item)


def test_the_first_entry_of_a_listener_is_predicted_without_a_past():
    entries = histories(5, 1, 12)
    rows = pack(entries, 8, np.random.default_rng(0))
    new = (rows["item"] == 0) & (rows["segment"] > 0)
    assert sorted(rows["next_item"][new]) == [1, 1001, 2001]
    assert (rows["action"][new] == 0).all()
    assert (rows["time"][new] == 0).all()
    assert (rows["next_time"][new] == -4).all()
    # No other entry attends to this place, because its segment has no other place.
    for row, place in np.argwhere(new):
        assert (rows["segment"][row] == rows["segment"][row, place]).sum() == 1


def test_a_segment_holds_consecutive_entries_of_one_listener():
    rows = pack(histories(5, 3, 12, 30, 2), 8, np.random.default_rng(0))
    present = rows["item"] > 0
    assert (rows["next_item"] == rows["item"] + 1)[present].all()
    assert (rows["next_time"] == rows["time"] + 6)[present].all()  # the request is 4 seconds before the next entry
    assert (rows["next_surface"] == rows["action"] % 3 + 1)[present].all()
    assert (rows["weight"] == rows["next_item"] % 1000)[present].all()
    same = (rows["segment"][:, 1:] == rows["segment"][:, :-1]) & present[:, 1:]
    assert (np.diff(rows["item"]) == 1)[same].all()


def test_long_histories_are_cut_at_other_places_in_each_epoch():
    windows = Windows(histories(50), 8)
    epochs = [np.concatenate([b["item"][:, 0] for b in windows.batches(1, 0, epoch)]) for epoch in range(4)]
    assert len({tuple(np.sort(first)) for first in epochs}) > 1
    again = np.concatenate([b["item"][:, 0] for b in windows.batches(1, 0, 0)])
    np.testing.assert_array_equal(again, epochs[0])


def test_an_epoch_may_have_several_passes():
    once, thrice = Windows(histories(16, 16), 5), Windows(histories(16, 16), 5, passes=3)
    assert thrice.rows == 3 * once.rows
    count = [sum(1 for _ in w.batches(1, 0, 0)) for w in (once, thrice)]
    assert count[1] == 3 * count[0]


def test_entries_that_are_no_targets_are_read_but_not_predicted():
    entries = histories(4)
    entries.target[2] = False
    rows = pack(entries, 8, None)
    assert rows["item"][0].tolist() == [1, 2, 3, 0, 0, 0, 0, 0]
    assert rows["next_item"][0].tolist() == [2, 0, 4, 1, 0, 0, 0, 0]
    assert rows["next_entry"][0].tolist() == [2, 3, 4, 1, 0, 0, 0, 0]
    assert rows["segment"][0].tolist() == [1, 1, 1, 2, 0, 0, 0, 0]


def test_pieces_cover_each_history():
    starts, counts = cut(np.array([0, 5, 5, 6, 20]), 4, np.random.default_rng(0))
    covered = np.concatenate([np.arange(s, s + n) for s, n in zip(starts, counts, strict=True)])
    np.testing.assert_array_equal(np.sort(covered), np.arange(20))
    assert counts.max() <= 4
    assert counts[np.isin(starts, [0, 5, 6])].tolist() == [1, 1, 1]


def test_pieces_share_a_row_if_they_fit():
    row, place, segment, rows = first_fit(np.array([6, 5, 3, 2]), 8)
    # 6 and 2 fill a row of 8, and so do 5 and 3.
    assert (row.tolist(), place.tolist(), segment.tolist(), rows) == ([0, 1, 1, 0], [0, 0, 5, 6], [1, 1, 2, 2], 2)


def test_a_request_reads_the_entries_before_it():
    entries = histories(5, 3)
    inputs = requests(entries, np.array([0, 1, 1]), np.array([4, 7, 5]), 3)
    assert inputs["item"].tolist() == [[2, 3, 4], [0, 1001, 1002], [0, 0, 0]]
    assert inputs["time"].tolist() == [[10, 20, 30], [0, 0, 10], [0, 0, 0]]
    # The time and surface of the request are at the last place, with or without an earlier entry.
    assert inputs["next_time"][:, -1].tolist() == [36, 16, -4]
    assert inputs["next_surface"][:, -1].tolist() == [2, 3, 1]
    assert inputs["segment"].tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]


def test_targets_are_the_entries_that_listeners_chose():
    actions = pa.array(["play", "like", "skip", "add", "play", "play", "like"])
    items, offsets = np.array([1, 1, 2, 3, 4, 4, 4]), np.array([0, 6, 7])
    # The like of the item that plays is no new choice, a second play is. The last like is another listener's.
    expected = [True, False, False, True, True, True, True]
    assert targets(pa.chunked_array([actions]), items, offsets).tolist() == expected


def test_histories_are_read_from_a_table():
    table = pa.table({
        "items": [["b", "a"], [], ["a"]],
        "actions": [["play", "skip"], [], ["like"]],
        "times": pa.array([[5, 6], [], [7]], pa.list_(pa.int64())),
        "asked": pa.array([[1, 1], [], [3]], pa.list_(pa.int64())),
        "surfaces": [["home", ""], [], ["search"]],
    })  # fmt: skip
    lookups = {"action": Lookup(schema.INTERACTIONS), "surface": Lookup(schema.SURFACES)}
    read = Histories.of_table(table, pa.array(["a", "b"]), lookups)
    assert read.item.tolist() == [2, 1, 1]
    assert read.offsets.tolist() == [0, 2, 2, 3]
    assert read.time.tolist() == [5, 6, 7]
    assert read.asked.tolist() == [1, 1, 3]
    assert read.target.tolist() == [True, False, True]
    assert read.surface.tolist() == [2, 0, 4]  # row 0 is '', row 1 is for unknown surfaces
    with pytest.raises(InputError, match="lacks 1 of them, the first is 'b'"):
        Histories.of_table(table, pa.array(["a"]), lookups)


def test_same_time_entries_are_shuffled():
    # A log of days, sorted by item: 50 listeners, nine items a day on ten days.
    days, items = np.repeat(np.arange(10), 9), np.tile(np.arange(1, 10), 10)
    time, item, offsets = np.tile(days, 50), np.tile(items, 50), 90 * np.arange(51)
    order = ties(offsets, time, item)
    assert (time[order] == time).all()
    assert sorted(order.tolist()) == list(range(4500))
    same = np.diff(time) == 0
    assert (np.diff(item[order])[same] > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert len({tuple(row) for row in item[order].reshape(-1, 9).tolist()}) > 40


def test_same_time_entries_of_one_item_keep_their_order():
    offsets, item = np.array([0, 4]), np.array([7, 7, 3, 7])
    order = ties(offsets, np.zeros(4, np.int64), item).tolist()
    assert order in ([0, 1, 3, 2], [2, 0, 1, 3])
    assert ties(offsets, np.arange(4), item).tolist() == [0, 1, 2, 3]


def test_clip_keeps_the_first_entries():
    clipped = histories(4, 2, 3).clip(np.array([2, 5, 0]))
    assert clipped.item.tolist() == [1, 2, 1001, 1002]
    assert clipped.offsets.tolist() == [0, 2, 4, 4]
