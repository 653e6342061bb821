"""The ranking model: its losses, masks of unknown labels, position bias and recalibration."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from events.schema import HEADS, LISTEN, TASKS
from models.evaluation.metrics import log_loss
from models.inputs.feature_names import QUERY_INPUTS
from models.inputs.shards import GROUP, Shards
from models.ranking.calibration import IDENTITY
from models.ranking.model import CHOICE_FEATURES, RankingModel, outcomes
from models.training_config import RankingConfig


@pytest.fixture(scope="module")
def batch(trained_ranking) -> dict[str, tf.Tensor]:
    """Forty examples; every second like is unknown."""
    return {name: tf.constant(value[:40]) for name, value in trained_ranking.arrays.items()}


@pytest.fixture
def fresh(world, batch):
    """`fresh(**settings)` returns an untrained model with the same initial weights for the same settings."""

    def make(**settings) -> RankingModel:
        tf.keras.utils.set_random_seed(0)
        model = RankingModel(world.encoder, replace(RankingConfig(dim=8), **settings))
        model.compute_loss(batch, training=True)  # creates all weights
        return model

    return make


def loss(model: RankingModel, batch) -> float:
    return float(model.compute_loss(batch))


def test_the_loss_is_the_sum_of_cross_entropies_and_the_huber_loss_of_listen(trained_ranking, batch):
    logits = trained_ranking.model(batch)
    expected = 0.0
    for head in HEADS:
        weights = batch[f"weight_{head}"].numpy()
        mean = log_loss(batch[f"label_{head}"].numpy(), tf.sigmoid(logits[head]).numpy(), weights)
        expected += mean * weights.sum() / 40  # the loss divides by the batch size, masked rows included
    mean, deviation = trained_ranking.model.listened.numpy()
    error = np.abs((batch["label_listen"] - mean) / deviation - logits[LISTEN])
    expected += np.where(error < 1, error**2 / 2, error - 0.5).mean()  # Huber
    assert loss(trained_ranking.model, batch) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_masked_labels_do_not_change_the_loss(trained_ranking, batch, name):
    weight = tf.constant([1.0, 0.0] * 20)
    label = batch[f"label_{name}"]
    masked = batch | {f"weight_{name}": weight}
    flipped = masked | {f"label_{name}": tf.where(weight == 0, 1 - label, label)}
    assert loss(trained_ranking.model, flipped) == loss(trained_ranking.model, masked)


@pytest.mark.parametrize("name", TASKS)
def test_known_labels_change_the_loss(trained_ranking, batch, name):
    flipped = batch | {f"label_{name}": 1 - batch[f"label_{name}"]}
    assert loss(trained_ranking.model, flipped) != pytest.approx(loss(trained_ranking.model, batch))


def test_the_loss_is_0_without_known_labels(trained_ranking, batch):
    masked = {f"weight_{name}": tf.zeros(40) for name in TASKS}
    assert loss(trained_ranking.model, batch | masked) == 0


def test_the_number_of_pair_features_is_not_fixed(world, batch):
    wider = batch | {"request": tf.pad(batch["request"], [[0, 0], [0, 2]])}
    model = RankingModel(world.encoder, RankingConfig(dim=8))
    assert {logits.shape for logits in model(wider).values()} == {(40,)}


def test_predictions_and_held_out_loss_ignore_positions(fresh, batch):
    model, elsewhere = fresh(), batch | {"position": batch["position"] + 7}
    for task, logits in model(batch).items():
        np.testing.assert_array_equal(model(elsewhere)[task], logits)
    assert loss(model, elsewhere) == loss(model, batch)


def test_the_position_tower_changes_every_task(fresh, batch):
    model = fresh()
    logits = model(batch)
    placed = model.at_position(logits, batch)
    assert placed.keys() == logits.keys() == set(TASKS)
    assert all(np.abs(placed[task] - logits[task]).min() > 0 for task in TASKS)
    unplaced = model.at_position(logits, batch | {"position": batch["position"] * 0})
    for task in TASKS:
        np.testing.assert_array_equal(unplaced[task], logits[task])


@pytest.mark.parametrize("weighting", ["tower", "inverse_propensity", "none"])
def test_the_treatment_of_position_bias_is_configurable(fresh, batch, weighting):
    model = fresh(position_weighting=weighting)
    model.measure({name: value.numpy() for name, value in at_all_positions(batch).items()})
    with tf.GradientTape() as tape:
        value = model.compute_loss(batch, training=True)
    used = tape.gradient(value, model.position.trainable_variables)
    assert any(gradient is not None for gradient in used) is (weighting == "tower")
    assert (float(model.eta) > 0) is (weighting == "inverse_propensity")


def at_all_positions(batch) -> dict[str, tf.Tensor]:
    """The batch with all of the first half played at position 1, and a quarter of the rest at position 2."""
    plays = tf.constant([1.0] * 20 + [1.0, 0.0, 0.0, 0.0] * 5)
    nothing = {f"label_{head}": tf.zeros(40) for head in HEADS}
    return batch | nothing | {"position": tf.constant([1] * 20 + [2] * 20), "label_play": plays}


def test_an_outcome_at_a_rarely_examined_position_counts_more(fresh, batch):
    # The share of plays falls from 1 at position 1 to 1/4 at position 2, so eta is 2 and a play there counts 4 times.
    model = fresh(position_weighting="inverse_propensity")
    placed = at_all_positions(batch)
    model.measure({name: value.numpy() for name, value in placed.items()})
    assert float(model.eta) == pytest.approx(2.0)
    plain = fresh(position_weighting="none")
    more = placed | {"label_play": placed["label_play"] * tf.where(placed["position"] == 2, 4.0, 1.0)}
    for either in (model, plain):
        either.listened.assign([0.0, 1.0])
    assert loss(model, placed) == pytest.approx(loss(plain, more), rel=1e-5)


def test_unknown_labels_are_no_outcomes():
    labels = {f"label_{head}": np.zeros(3) for head in HEADS} | {f"weight_{head}": np.ones(3) for head in HEADS}
    labels |= {"label_skip": np.array([1.0, 0, 0]), "label_add": np.array([0, 0, 1.0]), "weight_add": np.zeros(3)}
    assert outcomes(labels).tolist() == [1, 0, 0]


def test_listen_is_scaled_by_mean_and_deviation_of_the_training_set(fresh, batch):
    model = fresh()
    arrays = {name: value.numpy() for name, value in batch.items()}
    arrays |= {"label_listen": np.array([2.0, 4.0] * 10 + [99.0] * 20, np.float32)}
    arrays |= {"weight_listen": np.array([1.0] * 20 + [0.0] * 20, np.float32)}
    model.measure(arrays)
    assert model.listened.numpy() == pytest.approx([3.0, 1.0])
    logits = {task: tf.constant([0.0, 2.0, -9.0]) for task in TASKS}
    # 3 + 0, 3 + 2, and 3 - 9, which is raised to 0.
    assert model.predictions(logits)[LISTEN].numpy() == pytest.approx([3.0, 5.0, 0.0])


def test_predictions_are_recalibrated(fresh):
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


def test_recalibration_matches_the_mean_of_held_out_labels(copy, trained_ranking):
    # The held-out labels lose a third of the plays.
    arrays = trained_ranking.arrays
    kept = arrays["label_play"] * (np.arange(len(arrays["label_play"])) % 3 > 0)
    before = tf.sigmoid(copy(arrays)["play"]).numpy()
    assert before.mean() > kept.mean() + 0.1
    copy.calibrate(Shards.of(arrays | {"label_play": kept}))
    after = copy.predictions(copy(arrays))["play"].numpy()
    assert after.mean() == pytest.approx(kept.mean(), abs=0.005)
    assert (np.diff(after[np.argsort(before)]) >= -1e-6).all()  # the order is the same, up to rounding


def test_recalibration_leaves_out_unknown_labels(copy, trained_ranking):
    arrays = trained_ranking.arrays
    unknown = arrays["weight_like"] == 0
    slopes = []
    for label in (arrays["label_like"], np.where(unknown, 1, arrays["label_like"])):
        copy.calibrate(Shards.of(arrays | {"label_like": label}))
        slopes.append(copy.slope.numpy())
    assert unknown.any()
    np.testing.assert_array_equal(*slopes)


def test_heads_with_only_one_label_value_are_not_recalibrated(copy, trained_ranking):
    # Nobody completes or adds anything on the checkerboard.
    copy.calibrate(Shards.of(trained_ranking.arrays))
    fitted = zip(HEADS, copy.slope.numpy(), copy.offset.numpy(), strict=True)
    assert {head for head, *scalars in fitted if tuple(scalars) == IDENTITY} == {"complete", "add"}


def test_a_warm_start_resets_the_choice_head(trained_ranking):
    def prepare(model: RankingModel) -> None:
        for layer in (model.choice.out, model.choice.direct):
            layer.set_weights([np.ones_like(weights) for weights in layer.get_weights()])

    model, _ = trained_ranking.refit(0, epochs=1, prepare=prepare)
    features = np.random.default_rng(0).normal(size=(1, 5, CHOICE_FEATURES)).astype(np.float32)
    np.testing.assert_array_equal(model.choice(features), features[..., 0])


def test_an_empty_history_gives_finite_logits(trained_ranking, batch):
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
    expected, actual = (
        model.score((h, context), present, item, batch["request"][:, None, :])["play"] for h in (history, elsewhere)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_a_query_is_computed_once_for_its_candidates(trained_ranking, batch):
    rows = np.repeat(np.arange(3), [2, 30, 1])  # queries with 2, 30 (more than a slate holds) and 1 candidates
    queries = {name: tf.gather(values, rows) for name, values in batch.items()}
    candidates = {name: values[: len(rows)] for name, values in batch.items() if name not in QUERY_INPUTS}
    each = queries | candidates | {GROUP: tf.range(len(rows), dtype=tf.int64)}
    shared = each | {GROUP: tf.constant(rows, tf.int64)}
    for expected, actual in zip(*(trained_ranking.model(inputs).values() for inputs in (each, shared)), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_dropout_is_used_in_training_only(trained_ranking, batch):
    served, again = (trained_ranking.model(batch)["play"].numpy() for _ in range(2))
    np.testing.assert_array_equal(served, again)
    trained = trained_ranking.model(batch, training=True)["play"].numpy()
    assert not np.allclose(served, trained)
