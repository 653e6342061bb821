"""The model must not see later entries, mix listeners, or depend on the other requests of a batch."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from models.fitting.loop import start
from models.sequence.histories import Histories, Windows
from models.sequence.model import SequenceModel, items_so_far
from models.training_config import ATTENTIONS, LOSSES, SequenceConfig
from tests.models.sequence.conftest import LENGTH

CONFIG = SequenceConfig(dim=16, heads=2, blocks=2, length=LENGTH, batch_size=4, negatives=8)


@pytest.fixture(params=ATTENTIONS)
def model(request, encoder, rounds) -> SequenceModel:
    start(0)
    counts = np.bincount(rounds.item, minlength=encoder.catalogue.release_ts.shape[0])
    made = SequenceModel(encoder, replace(CONFIG, attention=request.param), counts, timed=True, unseen=False)
    made.compute_loss(tensors(next(Windows(rounds, LENGTH).batches(2, 0, 0))))
    rng = np.random.default_rng(0)
    for weights in made.trainable_weights:  # biases that start at 0 would hide their effect
        weights.assign_add(rng.normal(scale=0.1, size=weights.shape))
    return made


def tensors(batch):
    return {name: tf.constant(values) for name, values in batch.items()}


def states(model, batch) -> np.ndarray:
    (embedded,) = model.items.distinct([tf.constant(batch["item"])])
    return model.states(tensors(batch), embedded).numpy()


def test_later_entries_do_not_change_earlier_states(model, batch):
    changed = {name: values.copy() for name, values in batch.items()}
    changed["item"][:, 8:] = changed["item"][:, 8:] % 19 + 1
    changed["action"][:, 8:] = 3
    changed["time"][:, 8:] += 1000
    changed["next_time"][:, 8:] += 9000
    changed["next_surface"][:, 8:] = 4
    before, after = states(model, batch), states(model, changed)
    np.testing.assert_array_equal(before[:, :8], after[:, :8])
    assert not np.allclose(before[:, 8:], after[:, 8:])


def test_the_newest_state_does_not_depend_on_the_request_times_of_earlier_entries(model, batch):
    # A served model knows the time of the request for the newest entry only.
    later = batch | {
        "next_time": np.where(np.arange(LENGTH) < LENGTH - 1, batch["next_time"] + 86_400, batch["next_time"])
    }
    np.testing.assert_array_equal(states(model, batch)[:, -1], states(model, later)[:, -1])


def test_a_listener_without_a_history_has_the_same_state_in_training_and_serving(model, rounds):
    # The state is the same alone in a request and among others in a packed row, and it is not zero.
    packed = next(Windows(rounds, LENGTH).batches(1000, None, 0))
    row, place = np.argwhere((packed["item"] == 0) & (packed["segment"] > 0))[0]
    request = {name: np.zeros((1, LENGTH), values.dtype) for name, values in packed.items() if name != "next_item"}
    for name in ("next_time", "next_surface"):
        request[name][0, -1] = packed[name][row, place]
    request["segment"][0, -1] = 1
    alone, among = states(model, request)[0, -1], states(model, packed)[row, place]
    np.testing.assert_allclose(alone, among, atol=1e-5)
    assert np.abs(alone).max() > 0.1


@pytest.mark.parametrize("name", ["action", "next_surface"])
def test_an_unknown_action_or_surface_counts_as_unstated(model, batch, name):
    unknown, unstated = (batch | {name: np.full_like(batch[name], row)} for row in (1, 0))
    np.testing.assert_array_equal(states(model, unknown), states(model, unstated))


def test_the_state_depends_on_time_and_surface_of_the_request(model, batch):
    later = batch | {"next_time": batch["next_time"] + 86_400}
    elsewhere = batch | {"next_surface": batch["next_surface"] % 4 + 1}
    before = states(model, batch)[:, -1]
    assert not np.allclose(before, states(model, later)[:, -1])
    assert not np.allclose(before, states(model, elsewhere)[:, -1])


def test_the_newest_state_is_the_last_of_all_states(model, batch):
    (embedded,) = model.items.distinct([tf.constant(batch["item"])])
    np.testing.assert_allclose(model.state(tensors(batch), embedded), states(model, batch)[:, -1], atol=1e-5)


def test_permuting_a_batch_permutes_the_states(model, batch):
    order = np.array([3, 0, 5, 1, 4, 2])
    before = model.listener_vectors(tensors(batch)).numpy()
    after = model.listener_vectors(tensors({name: values[order] for name, values in batch.items()})).numpy()
    np.testing.assert_allclose(after, before[order], atol=1e-5)


def test_histories_in_one_row_do_not_change_each_others_states(model, batch):
    first, second = ({name: values[[row]] for name, values in batch.items()} for row in (0, 1))
    packed = {name: np.concatenate([first[name][:, 6:], second[name][:, 6:]], axis=1) for name in batch}
    packed["segment"] = np.repeat([[1, 2]], 6, axis=1)
    alone = [{name: values[:, 6:] for name, values in short.items()} for short in (first, second)]
    for short in alone:
        short["segment"] = np.ones((1, 6), np.int32)
    apart = np.concatenate([states_of_short(model, short) for short in alone], axis=1)
    np.testing.assert_allclose(states(model, packed), apart, atol=1e-5)


def states_of_short(model, batch) -> np.ndarray:
    """States of a row of six entries, which is padded at the left as a request is."""
    padded = {name: np.pad(values, [[0, 0], [LENGTH - 6, 0]]) for name, values in batch.items()}
    # HSTU divides its weights by the length of the row, so the padding keeps that length.
    return states(model, padded)[:, LENGTH - 6 :]


def test_a_listener_without_a_history_has_a_finite_state(model, batch):
    nothing = {name: np.zeros_like(values) for name, values in batch.items()}
    nothing["segment"][:, -1] = 1
    assert np.isfinite(model.listener_vectors(tensors(nothing)).numpy()).all()


@pytest.mark.parametrize("action_weight", [0.0, 0.5])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_finite_and_has_a_gradient_for_every_weight(loss, action_weight, encoder, rounds):
    start(0)
    counts = np.bincount(rounds.item, minlength=encoder.catalogue.release_ts.shape[0])
    config = replace(CONFIG, loss=loss, action_weight=action_weight)
    made = SequenceModel(encoder, config, counts, timed=True, unseen=False)
    batch = tensors(next(Windows(rounds, LENGTH).batches(4, 0, 0)))
    with tf.GradientTape() as tape:
        value = made.compute_loss(batch, training=True)
    assert np.isfinite(value)
    gradients = tape.gradient(value, made.trainable_weights)
    assert [w.name for w, g in zip(made.trainable_weights, gradients, strict=True) if g is None] == []


def test_an_item_outside_the_vocabulary_has_a_vector_of_its_own(model):
    in_vocabulary, new = model.item_vectors(tf.constant([2, 20])).numpy()  # i1 and i19 have the same creator and genre
    other = model.item_vectors(tf.constant([1])).numpy()[0]
    assert np.isfinite(new).all()
    assert not np.array_equal(new, in_vocabulary)
    assert not np.array_equal(new, other)


def test_items_so_far_are_those_of_the_segment_up_to_the_entry():
    item = tf.constant([[5, 6, 7, 8]])
    items = items_so_far(item, tf.constant([[1, 1, 2, 2]])).numpy()
    assert [sorted(set(row)) for row in items.tolist()] == [[5], [5, 6], [7], [7, 8]]


def test_there_are_no_items_so_far_at_the_start():
    assert items_so_far(tf.constant([[-1, 6, 7]]), tf.constant([[1, 2, 2]])).numpy()[0].tolist() == [-1, -1, -1]


def test_items_of_the_history_are_left_out_of_the_softmax_if_never_recommended(encoder, rounds):
    start(0)
    counts = np.bincount(rounds.item, minlength=encoder.catalogue.release_ts.shape[0])
    batch = tensors(next(Windows(rounds, LENGTH).batches(4, 0, 0)))
    losses = []
    for unseen in (False, True):
        start(0)
        made = SequenceModel(encoder, CONFIG, counts, timed=True, unseen=unseen)
        losses.append(float(made.compute_loss(batch)))
    # At most 18 of 19 items are left, so with the same logits the target has a larger share.
    assert losses[1] < losses[0]


def test_a_target_that_is_no_candidate_does_not_change_the_loss(model, batch):
    nothing, even = np.zeros_like(batch["item"]), np.ones(batch["item"].shape, np.float32)
    whole = {**batch, "next_item": nothing.copy(), "next_entry": nothing, "next_action": nothing, "weight": even}
    whole["next_item"][:, -1] = [1, 2, 3, 4, 5, 20]  # i19 is absent from training
    candidates_only = {**whole, "next_item": np.where(whole["next_item"] == 20, 0, whole["next_item"])}
    assert float(model.compute_loss(tensors(whole))) == pytest.approx(
        float(model.compute_loss(tensors(candidates_only)))
    )


def test_the_item_loss_is_the_mean_by_weight(model, rounds):
    batch = next(Windows(rounds, LENGTH).batches(4, 0, 0))

    def loss(weight):
        return float(model.compute_loss(tensors({**batch, "weight": weight})))

    even = np.ones_like(batch["weight"])
    first = np.zeros_like(even)
    first[: len(first) // 2] = 1
    counted = [(part * (batch["next_item"] > 0)).sum() for part in (first, 1 - first)]
    parts = np.average([loss(first), loss(1 - first)], weights=counted)
    assert loss(even) == pytest.approx(loss(2 * even)) == pytest.approx(parts, rel=1e-5)
    assert loss(first) != pytest.approx(loss(even), rel=1e-3)


def test_choosing_an_item_again_does_not_change_the_loss_if_never_recommended(encoder):
    again = Histories.of_items([np.array([3, 4, 3], np.int32)])
    counts = np.bincount([3, 4, 5], minlength=encoder.catalogue.release_ts.shape[0])
    start(0)
    made = SequenceModel(encoder, CONFIG, counts, timed=False, unseen=True)
    whole = tensors(next(Windows(again, LENGTH).batches(1, None, 0)))
    assert whole["next_item"][0, :3].numpy().tolist() == [
        4,
        3,
        3,
    ]  # the last place is the first entry, in its own segment
    first = {**whole, "next_item": whole["next_item"] * (1 - tf.one_hot(1, LENGTH, dtype=tf.int32))}
    assert float(made.compute_loss(whole)) == pytest.approx(float(made.compute_loss(first)))
    assert float(made.compute_loss(whole)) < 10
