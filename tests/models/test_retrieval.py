"""What retrieval alone promises: the loss, and what it corrects for."""

import numpy as np
import pytest
import tensorflow as tf

from models.retrieval import sampling_probability


def test_sampling_probability_is_the_share_of_the_positives():
    assert sampling_probability(np.array([7, 3, 7, 7])) == pytest.approx([3 / 4, 1 / 4, 3 / 4, 3 / 4])


def test_the_loss_is_a_softmax_over_the_batch_corrected_for_popularity(trained_retrieval):
    # Twenty rows of twenty items: some item is there twice.
    batch = {name: tf.constant(value[:20]) for name, value in trained_retrieval.arrays.items()}
    ids, p = batch["item_ids"].numpy()[:, 0], batch["sampling_probability"].numpy()
    assert len(set(ids)) < 20
    model = trained_retrieval.model
    scores = model.embed_query(batch).numpy() @ model.embed_item(batch).numpy().T - np.log(p)
    same = (ids[:, None] == ids[None, :]) & ~np.eye(20, dtype=bool)
    scores[same] = -np.inf  # another row of the same item is no negative
    expected = (np.log(np.exp(scores).sum(axis=1)) - scores.diagonal()).sum()
    assert float(model.compute_loss(batch)) == pytest.approx(expected, rel=1e-4)


def test_embeddings_have_the_configured_width(trained_retrieval):
    batch = {name: tf.constant(value[:3]) for name, value in trained_retrieval.arrays.items()}
    assert trained_retrieval.model.embed_query(batch).shape == (3, 16)
    assert trained_retrieval.model.embed_item(batch).shape == (3, 16)
