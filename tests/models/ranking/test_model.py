"""What ranking alone promises: its losses, masked where a label is unknown, and answers free of positions."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from events.schema import HEADS
from models.evaluation.metrics import log_loss
from models.inputs.feature_names import QUERY_INPUTS
from models.inputs.shards import GROUP, Shards
from models.ranking.calibration import IDENTITY
from models.ranking.model import FIGURES, LISTEN, SLATE, TASKS, RankingModel, outcomes, slates
from models.training_config import RankingConfig

KNOWN = (*HEADS, LISTEN)


@pytest.fixture(scope="module")
def batch(trained_ranking) -> dict[str, tf.Tensor]:
    """Forty examples; every second like is unknown."""
    return {name: tf.constant(value[:40]) for name, value in trained_ranking.arrays.items()}


@pytest.fixture
def fresh(world, batch):
    """`fresh(**settings)`: an untrained model, the same each time but for its settings."""

    def make(**settings) -> RankingModel:
        tf.keras.utils.set_random_seed(0)
        model = RankingModel(world.encoder, replace(RankingConfig(dim=8), **settings))
        model.compute_loss(batch, training=True)  # creates all weights
        return model

    return make


def loss(model: RankingModel, batch) -> float:
    return float(model.compute_loss(batch))


def test_the_loss_is_the_sum_of_cross_entropies_and_the_error_of_the_seconds(trained_ranking, batch):
    logits = trained_ranking.model(batch)
    expected = 0.0
    for head in HEADS:
        weights = batch[f"weight_{head}"].numpy()
        found = log_loss(batch[f"label_{head}"].numpy(), tf.sigmoid(logits[head]).numpy(), weights)
        expected += found * weights.sum() / 40  # masked rows count in the batch's size
    mean, deviation = trained_ranking.model.listened.numpy()
    error = np.abs((batch["label_listen"] - mean) / deviation - logits[LISTEN])
    expected += np.where(error < 1, error**2 / 2, error - 0.5).mean()  # Huber
    assert loss(trained_ranking.model, batch) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", KNOWN)
def test_masked_labels_do_not_change_the_loss(trained_ranking, batch, name):
    known = tf.constant([1.0, 0.0] * 20)
    label = batch[f"label_{name}"]
    one = batch | {f"weight_{name}": known}
    other = one | {f"label_{name}": tf.where(known == 0, 1 - label, label)}
    assert loss(trained_ranking.model, other) == loss(trained_ranking.model, one)


@pytest.mark.parametrize("name", KNOWN)
def test_known_labels_do(trained_ranking, batch, name):
    flipped = batch | {f"label_{name}": 1 - batch[f"label_{name}"]}
    assert loss(trained_ranking.model, flipped) != pytest.approx(loss(trained_ranking.model, batch))


def test_a_batch_without_any_label_costs_nothing(trained_ranking, batch):
    masked = {f"weight_{name}": tf.zeros(40) for name in KNOWN}
    assert loss(trained_ranking.model, batch | masked) == 0


def test_the_width_of_the_pairing_is_not_fixed(world, batch):
    wider = batch | {"request": tf.pad(batch["request"], [[0, 0], [0, 2]])}
    model = RankingModel(world.encoder, RankingConfig(dim=8))
    assert {logits.shape for logits in model(wider).values()} == {(40,)}


def test_positions_play_no_part_in_what_is_served(fresh, batch):
    model, elsewhere = fresh(), batch | {"position": batch["position"] + 7}
    for task, logits in model(batch).items():
        np.testing.assert_array_equal(model(elsewhere)[task], logits)
    assert loss(model, elsewhere) == loss(model, batch)


def test_the_tower_adds_to_every_task_what_a_position_does(fresh, batch):
    model = fresh()
    logits = model(batch)
    placed = model.at_position(logits, batch)
    assert placed.keys() == logits.keys() == set(TASKS)
    assert all(np.abs(placed[task] - logits[task]).min() > 0 for task in TASKS)
    unplaced = model.at_position(logits, batch | {"position": batch["position"] * 0})
    for task in TASKS:
        np.testing.assert_array_equal(unplaced[task], logits[task])


@pytest.mark.parametrize("weighting", ["tower", "inverse_propensity", "none"])
def test_what_is_done_about_positions_is_configured(fresh, batch, weighting):
    model = fresh(position_weighting=weighting)
    model.measure({name: value.numpy() for name, value in at_all_positions(batch).items()})
    with tf.GradientTape() as tape:
        value = model.compute_loss(batch, training=True)
    used = tape.gradient(value, model.position.trainable_variables)
    assert any(gradient is not None for gradient in used) is (weighting == "tower")
    assert (float(model.eta) > 0) is (weighting == "inverse_propensity")


def at_all_positions(batch) -> dict[str, tf.Tensor]:
    """The batch with plays on the first half of it, at position 1, and on a quarter of the rest, at position 2."""
    plays = tf.constant([1.0] * 20 + [1.0, 0.0, 0.0, 0.0] * 5)
    nothing = {f"label_{head}": tf.zeros(40) for head in HEADS}
    return batch | nothing | {"position": tf.constant([1] * 20 + [2] * 20), "label_play": plays}


def test_an_outcome_that_few_would_have_seen_counts_more(fresh, batch):
    # Of position 1 all, of position 2 a quarter: eta is 2, and a play at position 2 counts four times.
    model = fresh(position_weighting="inverse_propensity")
    placed = at_all_positions(batch)
    model.measure({name: value.numpy() for name, value in placed.items()})
    assert float(model.eta) == pytest.approx(2.0)
    plain = fresh(position_weighting="none")
    more = placed | {"label_play": placed["label_play"] * tf.where(placed["position"] == 2, 4.0, 1.0)}
    for one in (model, plain):
        one.listened.assign([0.0, 1.0])
    assert loss(model, placed) == pytest.approx(loss(plain, more), rel=1e-5)


def test_outcomes_are_known_labels():
    labels = {f"label_{head}": np.zeros(3) for head in HEADS} | {f"weight_{head}": np.ones(3) for head in HEADS}
    labels |= {"label_skip": np.array([1.0, 0, 0]), "label_add": np.array([0, 0, 1.0]), "weight_add": np.zeros(3)}
    assert outcomes(labels).tolist() == [1, 0, 0]


def test_seconds_are_measured_in_deviations_of_the_training_span(fresh, batch):
    model = fresh()
    arrays = {name: value.numpy() for name, value in batch.items()}
    arrays |= {"label_listen": np.array([2.0, 4.0] * 10 + [99.0] * 20, np.float32)}
    arrays |= {"weight_listen": np.array([1.0] * 20 + [0.0] * 20, np.float32)}
    model.measure(arrays)
    assert model.listened.numpy() == pytest.approx([3.0, 1.0])
    logits = {task: tf.constant([0.0, 2.0, -9.0]) for task in TASKS}
    # 3 + 0, 3 + 2; nobody listens for less than nothing.
    assert model.predictions(logits)[LISTEN].numpy() == pytest.approx([3.0, 5.0, 0.0])


def test_answers_are_recalibrated_logits(fresh):
    model = fresh()
    model.slope.assign([2.0] + [1.0] * 4)
    model.offset.assign([-1.0] + [0.0] * 4)
    answer = model.predictions({task: tf.constant([0.5, 0.0]) for task in TASKS})
    assert answer["play"].numpy() == pytest.approx([0.5, 1 / (1 + np.e)])  # sigmoid(0), sigmoid(-1)
    assert answer["like"].numpy() == pytest.approx([1 / (1 + np.exp(-0.5)), 0.5])


@pytest.fixture
def copy(fresh, trained_ranking) -> RankingModel:
    """The trained model, free to be changed."""
    model = fresh(dim=16)
    model.set_weights(trained_ranking.model.get_weights())
    return model


def test_recalibration_makes_held_out_probabilities_come_true(copy, trained_ranking):
    # A third of the plays is lost after training.
    arrays = trained_ranking.arrays
    kept = arrays["label_play"] * (np.arange(len(arrays["label_play"])) % 3 > 0)
    before = tf.sigmoid(copy(arrays)["play"]).numpy()
    assert before.mean() > kept.mean() + 0.1
    copy.calibrate(Shards.of(arrays | {"label_play": kept}))
    after = copy.predictions(copy(arrays))["play"].numpy()
    assert after.mean() == pytest.approx(kept.mean(), abs=0.005)
    assert (np.diff(after[np.argsort(before)]) >= -1e-6).all()  # in the same order, but for rounding


def test_recalibration_leaves_out_unknown_labels(copy, trained_ranking):
    arrays = trained_ranking.arrays
    unknown = arrays["weight_like"] == 0
    found = []
    for label in (arrays["label_like"], np.where(unknown, 1, arrays["label_like"])):
        copy.calibrate(Shards.of(arrays | {"label_like": label}))
        found.append(copy.slope.numpy())
    assert unknown.any()
    np.testing.assert_array_equal(*found)


def test_heads_that_hold_one_label_are_not_recalibrated(copy, trained_ranking):
    # Nobody completes or adds anything on the checkerboard.
    copy.calibrate(Shards.of(trained_ranking.arrays))
    fitted = zip(HEADS, copy.slope.numpy(), copy.offset.numpy(), strict=True)
    assert {head for head, *found in fitted if tuple(found) == IDENTITY} == {"complete", "add"}


def test_a_warm_start_hands_on_no_choice(trained_ranking):
    def prepare(model: RankingModel) -> None:
        for layer in (model.choice.out, model.choice.direct):
            layer.set_weights([np.ones_like(weights) for weights in layer.get_weights()])

    model, _ = trained_ranking.refit(0, epochs=0, prepare=prepare)
    figures = np.random.default_rng(0).normal(size=(1, 5, FIGURES)).astype(np.float32)
    np.testing.assert_array_equal(model.choice(figures), figures[..., 0])


def test_an_empty_history_attends_to_nothing(trained_ranking, batch):
    empty = {
        "history": batch["history"] * 0, "history_action": batch["history_action"] * 0,
        "history_age": batch["history_age"] * 0,
    }  # fmt: skip
    for logits in trained_ranking.model(batch | empty).values():
        assert np.isfinite(logits.numpy()).all()


def test_attention_skips_the_padding(trained_ranking, batch):
    model = trained_ranking.model
    embedded, static = model.items.distinct([batch["history"], batch["item"]])
    item = (static + model.items.dynamic(batch["item_stats"]))[:, None, :]
    present = tf.cast(batch["history"] > 0, tf.float32)
    history, context = model.describe_query(batch, embedded)
    elsewhere = history + 3 * (1 - present)[:, :, None]
    one, two = (
        model.score((h, context), present, item, batch["request"][:, None, :])["play"] for h in (history, elsewhere)
    )
    np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-4)


def test_a_query_is_computed_once_for_its_candidates(trained_ranking, batch):
    rows = np.repeat(np.arange(3), [2, 30, 1])  # longer than a slate, shorter, and alone
    asked = {name: tf.gather(values, rows) for name, values in batch.items()}
    own = {name: values[: len(rows)] for name, values in batch.items() if name not in QUERY_INPUTS}
    each = asked | own | {GROUP: tf.range(len(rows), dtype=tf.int64)}
    shared = each | {GROUP: tf.constant(rows, tf.int64)}
    for one, two in zip(*(trained_ranking.model(inputs).values() for inputs in (each, shared)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_slates_follow_the_queries():
    first, own, place = slates(tf.constant([7, 7, 3, 7]))
    assert first.numpy().tolist() == [0, 2, 3]
    assert (own.numpy().tolist(), place.numpy().tolist()) == ([0, 0, 1, 2], [0, 1, 0, 0])
    first, own, place = slates(tf.zeros(SLATE + 2, tf.int64))
    assert (first.numpy().tolist(), place.numpy().tolist()) == ([0, SLATE], [*range(SLATE), 0, 1])
    assert own.numpy().tolist() == [0] * SLATE + [1, 1]


def test_serving_is_without_dropout(trained_ranking, batch):
    one, two = (trained_ranking.model(batch)["play"].numpy() for _ in range(2))
    np.testing.assert_array_equal(one, two)
    trained = trained_ranking.model(batch, training=True)["play"].numpy()
    assert not np.allclose(one, trained)
