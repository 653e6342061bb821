"""What the model must not do: see what comes later, mix listeners, or depend on who else is asked about."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from models.fitting.loop import start
from models.sequence.histories import Histories, Windows
from models.sequence.model import SequenceModel, had_before
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
    for weights in made.trainable_weights:  # biases that begin at 0 would hide what they do
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


def test_nothing_before_the_newest_entry_depends_on_when_the_next_was_asked_for(model, batch):
    # When a model is served, only the newest entry has a request that is known.
    later = batch | {
        "next_time": np.where(np.arange(LENGTH) < LENGTH - 1, batch["next_time"] + 86_400, batch["next_time"])
    }
    np.testing.assert_array_equal(states(model, batch)[:, -1], states(model, later)[:, -1])


def test_a_listener_of_whom_nothing_is_known_is_answered_as_trained(model, rounds):
    # Alone in a request or among others in a packed row: the same state, which is not nothing.
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
def test_what_the_log_never_named_is_as_what_it_does_not_state(model, batch, name):
    unknown, unstated = (batch | {name: np.full_like(batch[name], row)} for row in (1, 0))
    np.testing.assert_array_equal(states(model, unknown), states(model, unstated))


def test_the_moment_and_the_surface_of_a_request_count(model, batch):
    later = batch | {"next_time": batch["next_time"] + 86_400}
    elsewhere = batch | {"next_surface": batch["next_surface"] % 4 + 1}
    before = states(model, batch)[:, -1]
    assert not np.allclose(before, states(model, later)[:, -1])
    assert not np.allclose(before, states(model, elsewhere)[:, -1])


def test_the_state_of_the_newest_entry_is_the_last_of_all_states(model, batch):
    (embedded,) = model.items.distinct([tf.constant(batch["item"])])
    np.testing.assert_allclose(model.state(tensors(batch), embedded), states(model, batch)[:, -1], atol=1e-5)


def test_the_order_of_a_batch_changes_nothing(model, batch):
    order = np.array([3, 0, 5, 1, 4, 2])
    before = model.listener_vectors(tensors(batch)).numpy()
    after = model.listener_vectors(tensors({name: values[order] for name, values in batch.items()})).numpy()
    np.testing.assert_allclose(after, before[order], atol=1e-5)


def test_histories_that_share_a_row_do_not_see_each_other(model, batch):
    first, second = ({name: values[[row]] for name, values in batch.items()} for row in (0, 1))
    packed = {name: np.concatenate([first[name][:, 6:], second[name][:, 6:]], axis=1) for name in batch}
    packed["segment"] = np.repeat([[1, 2]], 6, axis=1)
    alone = [{name: values[:, 6:] for name, values in one.items()} for one in (first, second)]
    for one in alone:
        one["segment"] = np.ones((1, 6), np.int32)
    apart = np.concatenate([states_of_short(model, one) for one in alone], axis=1)
    np.testing.assert_allclose(states(model, packed), apart, atol=1e-5)


def states_of_short(model, batch) -> np.ndarray:
    """States of a row of six: padded at the left, as a request is."""
    padded = {name: np.pad(values, [[0, 0], [LENGTH - 6, 0]]) for name, values in batch.items()}
    found = states(model, padded)[:, LENGTH - 6 :]
    # HSTU's weights are over the row's length, which is the same here.
    return found


def test_a_listener_of_whom_nothing_is_known_has_a_state(model, batch):
    nothing = {name: np.zeros_like(values) for name, values in batch.items()}
    nothing["segment"][:, -1] = 1
    assert np.isfinite(model.listener_vectors(tensors(nothing)).numpy()).all()


@pytest.mark.parametrize("action_weight", [0.0, 0.5])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_finite_and_has_a_slope_for_every_weight(loss, action_weight, encoder, rounds):
    start(0)
    counts = np.bincount(rounds.item, minlength=encoder.catalogue.release_ts.shape[0])
    config = replace(CONFIG, loss=loss, action_weight=action_weight)
    made = SequenceModel(encoder, config, counts, timed=True, unseen=False)
    batch = tensors(next(Windows(rounds, LENGTH).batches(4, 0, 0)))
    with tf.GradientTape() as tape:
        value = made.compute_loss(batch, training=True)
    assert np.isfinite(value)
    slopes = tape.gradient(value, made.trainable_weights)
    assert [w.name for w, slope in zip(made.trainable_weights, slopes, strict=True) if slope is None] == []


def test_an_item_without_an_id_of_its_own_is_what_is_known_of_it(model):
    known, new = model.item_vectors(tf.constant([2, 20])).numpy()  # i1 and i19: the same creator and genre
    other = model.item_vectors(tf.constant([1])).numpy()[0]
    assert np.isfinite(new).all()
    assert not np.array_equal(new, known)
    assert not np.array_equal(new, other)


def test_what_was_had_is_all_that_came_before_in_the_segment():
    item = tf.constant([[5, 6, 7, 8]])
    found = had_before(item, tf.constant([[1, 1, 2, 2]])).numpy()
    assert [sorted(set(row)) for row in found.tolist()] == [[5], [5, 6], [7], [7, 8]]


def test_nothing_was_had_at_the_start():
    assert had_before(tf.constant([[-1, 6, 7]]), tf.constant([[1, 2, 2]])).numpy()[0].tolist() == [-1, -1, -1]


def test_what_was_had_takes_no_part_where_it_is_never_answered(encoder, rounds):
    start(0)
    counts = np.bincount(rounds.item, minlength=encoder.catalogue.release_ts.shape[0])
    batch = tensors(next(Windows(rounds, LENGTH).batches(4, 0, 0)))
    found = []
    for unseen in (False, True):
        start(0)
        made = SequenceModel(encoder, CONFIG, counts, timed=True, unseen=unseen)
        found.append(float(made.compute_loss(batch)))
    # Of 19 items an entry leaves 18 or fewer: the same logits have less to share the probability with.
    assert found[1] < found[0]


def test_a_choice_that_is_no_candidate_is_not_judged(model, batch):
    nothing = np.zeros_like(batch["item"])
    whole = {**batch, "next_item": nothing.copy(), "next_entry": nothing, "next_action": nothing}
    whole["next_item"][:, -1] = [1, 2, 3, 4, 5, 20]  # i19 was never chosen in training
    known = {**whole, "next_item": np.where(whole["next_item"] == 20, 0, whole["next_item"])}
    assert float(model.compute_loss(tensors(whole))) == pytest.approx(float(model.compute_loss(tensors(known))))


def test_a_choice_that_was_had_before_teaches_nothing_where_it_is_never_answered(encoder):
    again = Histories.of_items([np.array([3, 4, 3], np.int32)])
    counts = np.bincount([3, 4, 5], minlength=encoder.catalogue.release_ts.shape[0])
    start(0)
    made = SequenceModel(encoder, CONFIG, counts, timed=False, unseen=True)
    whole = tensors(next(Windows(again, LENGTH).batches(1, None, 0)))
    assert whole["next_item"][0, :3].numpy().tolist() == [4, 3, 3]  # the last from nothing: a segment of its own
    first = {**whole, "next_item": whole["next_item"] * (1 - tf.one_hot(1, LENGTH, dtype=tf.int32))}
    assert float(made.compute_loss(whole)) == pytest.approx(float(made.compute_loss(first)))
    assert float(made.compute_loss(whole)) < 10
