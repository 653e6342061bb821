"""What ranking alone promises: the loss of three heads, masked where a label is unknown."""

import numpy as np
import pytest
import tensorflow as tf

from events.schema import HEADS
from models.metrics import log_loss


@pytest.fixture(scope="module")
def batch(trained_ranking) -> dict[str, tf.Tensor]:
    """Forty examples; every second like is unknown."""
    return {name: tf.constant(value[:40]) for name, value in trained_ranking.arrays.items()}


def loss(trained_ranking, batch) -> float:
    return float(trained_ranking.model.compute_loss(batch))


def test_the_loss_is_the_sum_of_the_heads_cross_entropies(trained_ranking, batch):
    expected = 0.0
    for head, logits in trained_ranking.model(batch).items():
        weights = batch[f"weight_{head}"].numpy()
        found = log_loss(batch[f"label_{head}"].numpy(), tf.sigmoid(logits).numpy(), weights)
        expected += found * weights.sum() / 40  # masked rows count in the batch's size
    assert loss(trained_ranking, batch) == pytest.approx(expected, rel=1e-4)


def test_masked_labels_do_not_change_the_loss(trained_ranking, batch):
    assert 0 < batch["weight_like"].numpy().sum() < 40
    flipped = tf.where(batch["weight_like"] == 0, 1 - batch["label_like"], batch["label_like"])
    assert loss(trained_ranking, batch | {"label_like": flipped}) == loss(trained_ranking, batch)


def test_known_labels_do(trained_ranking, batch):
    assert loss(trained_ranking, batch | {"label_like": 1 - batch["label_like"]}) != loss(trained_ranking, batch)


def test_a_batch_without_any_label_costs_nothing(trained_ranking, batch):
    masked = {f"weight_{head}": tf.zeros(40) for head in HEADS}
    assert loss(trained_ranking, batch | masked) == 0


def test_an_empty_history_attends_to_nothing(trained_ranking, batch):
    empty = {
        "history": batch["history"] * 0, "history_action": batch["history_action"] * 0,
        "history_age": batch["history_age"] * 0,
    }  # fmt: skip
    for logits in trained_ranking.model(batch | empty).values():
        assert np.isfinite(logits.numpy()).all()


def test_attention_skips_the_padding(trained_ranking, batch):
    model = trained_ranking.model
    item = model.items(batch["item_ids"], batch["item_dense"])[:, None, :]
    present = tf.cast(batch["history"] > 0, tf.float32)
    history, context = model.describe_query(batch)
    elsewhere = history + 3 * (1 - present)[:, :, None]
    one, two = (
        model.score((h, context), present, item, batch["request"][:, None, :])["play"] for h in (history, elsewhere)
    )
    np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-4)


def test_serving_is_without_dropout(trained_ranking, batch):
    one, two = (trained_ranking.model(batch)["play"].numpy() for _ in range(2))
    np.testing.assert_array_equal(one, two)
    trained = trained_ranking.model(batch, training=True)["play"].numpy()
    assert not np.allclose(one, trained)
