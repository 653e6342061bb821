"""What a run's training set says of a request is what the served model makes of the same request."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.raw import raw_query
from models.sequence.export import ServedSequence
from models.sequence.histories import table_requests
from models.sequence.workload import held_out
from models.workloads import HISTORY_INPUTS

NO_HISTORY: dict = {"history_items": [], "history_actions": [], "history_times": []}


@pytest.fixture(scope="module")
def rows(make_table, noon):
    """Histories of nothing, of two items, of more than is read, and one with an item that the catalogue lacks."""
    now = int(noon.timestamp())

    def row(*items: str) -> dict:
        times = [now - 600 * n for n in range(len(items), 0, -1)]
        return {"history_items": list(items), "history_actions": ["play", "like"] * 20, "history_times": times} | {
            "history_actions": [("play", "like")[n % 2] for n in range(len(items))]
        }

    many = [f"i{n % 7}" for n in range(30)]
    return make_table(
        NO_HISTORY, row("i1", "i2"), row(*many), row("i1", "stranger", "i3"), row("i1", "i3", "stranger"),
        row("stranger"), {"surface": "search"},
    )  # fmt: skip


def test_a_tables_requests_are_what_the_served_model_reads(rows, trained_sequence, world):
    coded, _ = trained_sequence
    served = ServedSequence(coded, world.items, np.ones(world.items.num_rows), ["g0", "g1"], False)
    catalogue, lookups = world.encoder.catalogue, world.encoder.lookups
    raw = raw_query(rows, world.encoder.axes)
    found = served.encode(**{name: tf.constant(raw[name]) for name in HISTORY_INPUTS})
    expected = table_requests(rows, catalogue.known, lookups, coded.sequence.config.length)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    # What the model does not know leaves no gap.
    i1, i3 = (int(catalogue.encode(pa.array([item]))[0]) for item in ("i1", "i3"))
    assert expected["item"][3:5, -2:].tolist() == [[i1, i3]] * 2
    assert expected["segment"][3:6].sum(axis=1).tolist() == [2, 2, 1]


@pytest.mark.parametrize("unseen", [True, False])
def test_what_was_had_is_no_candidate_where_it_is_never_answered(rows, world, unseen):
    asked = held_out(rows, world.items, world.encoder, 12, unseen)
    assert asked.item.tolist() == world.encoder.catalogue.encode(rows["item_id"]).tolist()
    if not unseen:
        assert asked.known is None
        return
    had = [{world.items["item_id"][int(n)].as_py() for n in row.nonzero()[1]} for row in asked.known]
    histories = rows["history_items"].to_pylist()
    assert had == [set(history) - {"stranger"} for history in histories]
