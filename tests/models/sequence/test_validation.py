"""Validation of the sequence model: its inputs are those of the served model, and the AUC of the action head."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tensorflow as tf

from models.inputs.feature_names import HISTORY_INPUTS
from models.inputs.raw_query import raw_query
from models.sequence.export import ServedSequence
from models.sequence.fit import fit
from models.sequence.histories import Histories
from models.sequence.request_inputs import table_requests
from models.sequence.validation import action_auc, held_out
from models.training_config import SequenceConfig

NO_HISTORY: dict = {"history_items": [], "history_actions": [], "history_times": []}


@pytest.fixture(scope="module")
def rows(make_table, noon):
    """Rows with an empty history, two items, more items than a row holds, and items that the catalogue lacks."""
    now = int(noon.timestamp())

    def row(*items: str) -> dict:
        times = [now - 600 * n for n in range(len(items), 0, -1)]
        return {"history_items": list(items), "history_actions": ["play", "like"] * 20, "history_times": times} | {
            "history_actions": [("play", "like")[n % 2] for n in range(len(items))]
        }

    many = [f"i{n % 7}" for n in range(30)]
    return make_table(
        NO_HISTORY, row("i1", "i2"), row(*many), row("i1", "unknown", "i3"), row("i1", "i3", "unknown"),
        row("unknown"), {"surface": "search"},
    )  # fmt: skip


def test_a_training_table_gives_the_inputs_that_the_served_model_reads(rows, trained_sequence, world):
    coded, _ = trained_sequence
    served = ServedSequence(coded, world.items, np.ones(world.items.num_rows), ["g0", "g1"], False)
    catalogue, lookups = world.encoder.catalogue, world.encoder.lookups
    raw = raw_query(rows, world.encoder.axes)
    served_inputs = served.encode(**{name: tf.constant(raw[name]) for name in HISTORY_INPUTS})
    expected = table_requests(rows, catalogue.ids, lookups, coded.sequence.config.length)
    for name, values in expected.items():
        np.testing.assert_array_equal(served_inputs[name], values, err_msg=name)
    # Unknown items leave no gap.
    i1, i3 = (int(catalogue.encode(pa.array([item]))[0]) for item in ("i1", "i3"))
    assert expected["item"][3:5, -2:].tolist() == [[i1, i3]] * 2
    assert expected["segment"][3:6].sum(axis=1).tolist() == [2, 2, 1]


@pytest.mark.parametrize("unseen", [True, False])
def test_items_of_the_history_are_excluded_if_never_recommended(rows, world, unseen):
    choices = held_out(rows, world.items, world.encoder, 12, unseen)
    assert choices.item.tolist() == world.encoder.catalogue.encode(rows["item_id"]).tolist()
    if not unseen:
        assert choices.excluded_mask is None
        return
    excluded = [{world.items["item_id"][int(n)].as_py() for n in row.nonzero()[1]} for row in choices.excluded_mask]
    histories = rows["history_items"].to_pylist()
    assert excluded == [set(history) - {"unknown"} for history in histories]


@pytest.mark.slow
def test_the_action_head_has_an_auc_for_actions_whose_labels_differ(rows, world):
    # Every listener skips items with odd numbers and likes none. Labels of adds are unknown.
    items = np.arange(1, 1 + world.items.num_rows, dtype=np.int32)
    histories = Histories.of_items([np.random.default_rng(seed).permutation(items)[:12] for seed in range(40)])
    play, skip = world.encoder.lookups["action"].encode(pa.array(["play", "skip"]))
    odd = world.encoder.catalogue.encode(pa.array([f"i{n}" for n in range(world.items.num_rows) if n % 2]))
    histories = replace(histories, action=np.where(np.isin(histories.item, odd), skip, play))
    config = SequenceConfig(dim=16, blocks=1, length=12, batch_size=8, epochs=6, learning_rate=0.01, action_weight=1.0)
    choices = held_out(rows, world.items, world.encoder, config.length, False)
    model, _ = fit(histories, choices, world.encoder, config, seed=0)

    shown = world.validation.filter(pc.is_in(world.validation["item_id"], world.items["item_id"].combine_chunks()))
    skipped = [int(item[1:]) % 2 for item in shown["item_id"].to_pylist()]
    labels = {
        "play": [1 - skip_label for skip_label in skipped],
        "skip": skipped,
        "like": [0] * len(skipped),
        "add": None,
    }
    for name, values in labels.items():
        column = pa.nulls(shown.num_rows, pa.float32()) if values is None else pa.array(values, pa.float32())
        shown = shown.set_column(shown.schema.get_field_index(f"label_{name}"), f"label_{name}", column)

    assert action_auc(model, shown) == {"play": 1.0, "skip": 1.0}
