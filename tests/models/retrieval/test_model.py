"""The retrieval model: its score, its loss, and the treatment of new items."""

import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from models.inputs.axes import fit_axes
from models.inputs.encoder import Encoder
from models.inputs.feature_names import AGE_COLUMNS
from models.inputs.shards import Shards
from models.inputs.training_arrays import retrieval_arrays
from models.retrieval import model as retrieval
from models.retrieval.model import NEGATIVES, RetrievalModel
from tests.models.conftest import ITEMS, catalogue_table, checkerboard

NDCG_OF_SECOND = 1 / np.log2(3)


@pytest.fixture(scope="module")
def batch(trained_retrieval) -> dict[str, tf.Tensor]:
    """Twenty positives, among them one item twice, with the weights 0.5, 1 and 1.5 in turn."""
    arrays = {name: value[:20] for name, value in trained_retrieval.arrays.items()}
    assert len(set(arrays["item"].tolist())) < 20
    weights = {"weight": np.resize([0.5, 1.0, 1.5], 20).astype(np.float32)}
    return {name: tf.constant(value) for name, value in (arrays | weights).items()}


@pytest.fixture
def copy(trained_retrieval, batch, world):
    """`copy(**settings)` returns a copy of the trained model, with other settings, that a test may change."""

    def make(**settings) -> RetrievalModel:
        trained = trained_retrieval.model
        model = RetrievalModel(
            world.encoder, replace(trained.config, **settings), world.encoder.item_table(world.items)
        )
        model.compute_loss(batch)  # creates all weights
        model.set_weights(trained.get_weights())
        return model

    return make


def test_the_score_is_the_cosine_over_the_temperature_and_the_items_bias(trained_retrieval, batch):
    model = trained_retrieval.model
    query, item = (vectors.numpy() for vectors in model(batch))
    assert query.shape == item.shape == (20, 16 + 1)
    lengths = np.linalg.norm(query[:, :-1], axis=1)
    np.testing.assert_allclose(lengths, np.exp(float(model.sharpness)), rtol=1e-4)
    np.testing.assert_array_equal(query[:, -1], 1)
    np.testing.assert_allclose(np.linalg.norm(item[:, :-1], axis=1), 1, rtol=1e-4)
    assert float(np.ptp(item[:, -1])) > 0


def test_the_initial_mix_of_views_is_their_mean():
    # Two views of width 2.
    assert retrieval.identities([4, 2], tf.float32).numpy().tolist() == [[0.5, 0], [0, 0.5], [0.5, 0], [0, 0.5]]


@pytest.mark.parametrize("hard", [0, 3])
@pytest.mark.parametrize("uniform", [0, 16])
def test_the_loss_is_a_softmax_corrected_for_sampling_probabilities(copy, batch, uniform, hard):
    model = copy(uniform_negatives=uniform, hard_negatives=hard)
    pool = model.encoder.item_table(catalogue_table(*({"item_id": f"i{n}"} for n in range(ITEMS))))
    drawn = tf.random.stateless_uniform([uniform], model.stateless_seed(NEGATIVES), maxval=ITEMS, dtype=tf.int32)
    rows = np.concatenate([batch["item"], pool["item"][drawn]])
    stats = np.concatenate([batch["item_stats"], pool["item_stats"][drawn]])
    # The batch draws an item with its probability in the stream, the uniform draws with 1 / ITEMS.
    p = (20 * model.frequency.probability(tf.constant(rows)).numpy() + uniform / ITEMS) / (20 + uniform)
    scores = model(batch)[0].numpy() @ model.item_vectors(rows, stats).numpy().T - np.log(p)  # [20, 20 + u]
    own = np.eye(20, 20 + uniform, dtype=bool)
    scores[(rows[:20, None] == rows[None, :]) & ~own] = -np.inf  # an item is no negative of itself
    positive, negatives = scores[own], np.sort(np.where(own, -np.inf, scores), axis=1)[:, ::-1]
    kept = np.column_stack([positive, negatives[:, : hard or None]])
    losses = np.log(np.exp(kept).sum(axis=1)) - positive
    expected = (losses * batch["weight"].numpy()).sum() / 20
    assert float(model.compute_loss(batch)) == pytest.approx(expected, rel=1e-4)


def test_dropout_and_item_counts_are_used_in_training_only(copy, batch):
    model = copy()
    served = [float(model.compute_loss(batch)) for _ in range(2)]
    draws = float(model.frequency.draws)
    assert served[0] == served[1]
    trained = float(model.compute_loss(batch, training=True))
    assert float(model.frequency.draws) == draws + 20
    assert abs(trained - served[0]) > 0.01


def test_ids_are_dropped_in_training_only(copy, batch, monkeypatch):
    # Other dropout and the counting of items are switched off, so only id dropout makes a difference.
    monkeypatch.setattr(retrieval, "DROPOUT", 0.0)
    monkeypatch.setattr(retrieval.FrequencyEstimator, "update", lambda self, rows: None)
    model = copy()
    served = float(model.compute_loss(batch))
    assert abs(float(model.compute_loss(batch, training=True)) - served) > 1e-3
    ids = model.items.embeddings[0]
    ids.set_weights([np.zeros_like(ids.get_weights()[0])])  # without id embeddings, id dropout has no effect
    assert float(model.compute_loss(batch, training=True)) == pytest.approx(float(model.compute_loss(batch)), rel=1e-4)


def test_only_the_age_among_an_items_statistics_counts(copy, batch):
    model = copy()
    model.bias.set_weights([np.ones_like(model.bias.get_weights()[0])])
    rows, stats = batch["item"], batch["item_stats"].numpy()
    played, older = stats.copy(), stats.copy()
    played[:, :AGE_COLUMNS] += 1
    older[:, AGE_COLUMNS] += 0.1
    plain = model.item_vectors(rows, stats).numpy()
    np.testing.assert_array_equal(model.item_vectors(rows, played), plain)
    assert np.abs(model.item_vectors(rows, older).numpy() - plain).max() > 1e-3


def test_embedding_in_blocks_equals_embedding_at_once(trained_retrieval, batch):
    rows, stats = batch["item"].numpy(), batch["item_stats"].numpy()
    whole = retrieval.embed_in_blocks(trained_retrieval.model, rows, stats)
    parts = retrieval.embed_in_blocks(trained_retrieval.model, rows, stats, block=7)
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


def test_held_out_ndcg_is_weighted():
    # Items 3 and 5 have the embeddings 1 and 2: the query 1 ranks 5 first, the query -1 ranks 3 first.
    vectors = SimpleNamespace(
        item_vectors=lambda rows, stats: tf.constant(stats),
        query_vectors=lambda inputs: tf.cast(inputs["surface"], tf.float32)[:, None],
    )
    items = {"item": np.array([3, 5]), "item_stats": np.array([[1.0], [2.0]], np.float32)}

    def positives(queries: list, targets: list, weights: list) -> dict[str, np.ndarray]:
        padding = dict.fromkeys(retrieval.QUERY_INPUTS, np.zeros(len(queries)))
        values = {"surface": np.array(queries), "item": np.array(targets), "weight": np.array(weights)}
        return padding | values

    batches = [positives([1, 1], [5, 3], [1.0, 1.0]), positives([-1], [3], [2.0])]
    # The NDCGs are 1, 1/log2(3) and 1, with the weights 1, 1 and 2.
    assert retrieval.held_out_ndcg(vectors, batches, items) == pytest.approx((1 + NDCG_OF_SECOND + 2 * 1) / 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        pytest.param([{"creator_id": "even"}, {"creator_id": "odd"}], id="creator"),
        pytest.param([{"genre_weights": [1.0, 0.0]}, {"genre_weights": [0.0, 1.0]}], id="genre"),
        pytest.param([{"text": "An even title"}, {"text": "An odd title"}], id="words"),
    ],
)
def test_new_items_are_found_by_their_content(content):
    parts = []
    for rows, seed in ((800, 1), (200, 2)):
        table = checkerboard(rows, seed)
        parity = [int(item[1:]) % 2 for item in table["item_id"].to_pylist()]
        for name in sorted({*content[0]} & {*table.column_names}):
            column = table.schema.get_field_index(name)
            values = pa.array([content[p][name] for p in parity], table.field(name).type)
            table = table.set_column(column, name, values)
        parts.append(table)
    rows = [{"item_id": f"i{n}"} | content[n % 2] for n in range(ITEMS)]
    new = [{"item_id": "new even"} | content[0], {"item_id": "new odd"} | content[1]]
    items = catalogue_table(*rows, *new)
    encoder = Encoder(fit_axes([parts[0]]), items)
    arrays = [retrieval_arrays(part, encoder, {"positive": 1.0}) for part in parts]
    pool = encoder.item_table(items.slice(0, ITEMS))  # unplayed items are no negatives
    config = retrieval.RetrievalConfig(dim=16, batch_size=64, learning_rate=0.01, epochs=4, uniform_negatives=16)
    train, validation = (Shards.of(part) for part in arrays)
    model, _ = retrieval.fit(train, validation, pool, encoder.item_table(items), encoder, config, seed=0)
    new_items = encoder.item_table(items.slice(ITEMS, 2))
    scores = retrieval.query_vectors(model, arrays[1]) @ model.item_vectors(*new_items.values()).numpy().T
    even = arrays[1]["history"][:, 0] % 2 == 1  # item i0 has row 1, so even items have odd rows
    correct = np.where(even, scores[:, 0] > scores[:, 1], scores[:, 1] > scores[:, 0])
    assert correct.mean() > 0.9


NEW = np.array([False, True])


def test_the_gain_makes_new_items_as_probable_as_the_upper_end_of_their_share():
    # Each query gives an old item the score 2 and a new item 0. Without a gain the new item has probability 0.12.
    odds = retrieval.newcomer_odds(np.tile([2.0, 0.0], (400, 1)), NEW)
    assert odds == pytest.approx(np.full(400, -2.0))
    was_new = np.repeat([False, True], [300, 100])
    gain = retrieval.newcomer_gain(odds, was_new)
    # A quarter of 400 positives was new. Wilson's upper end is 0.2947, which sigmoid(gain - 2) must equal.
    assert gain == pytest.approx(2 + np.log(0.2947 / 0.7053), abs=1e-3)
    # Where new items already have half of the probability, the gain is 0 and not negative.
    assert retrieval.newcomer_gain(np.zeros(400), was_new) == 0.0


@pytest.mark.parametrize(
    ("was_new", "expected"), [([False, False], 0.0), ([True, True], 5.0)], ids=["nothing new was played", "at most 5"]
)
def test_the_gain_of_new_items_has_bounds(was_new, expected):
    assert retrieval.newcomer_gain(np.array([-9.0, -9.0]), np.array(was_new)) == expected


def test_unreleased_items_do_not_affect_the_gain():
    odds = retrieval.newcomer_odds(np.array([[0.0, -np.inf], [0.0, 0.0]] * 50), NEW)
    assert odds.tolist() == [-np.inf, 0.0] * 50
    gain = retrieval.newcomer_gain(odds, np.array([False, True] * 50))
    assert np.isfinite(gain)
    assert gain > 0


def test_the_gain_does_not_hold_the_scores_of_all_queries_in_memory(monkeypatch):
    items, rows, batches = 20_000, 50, 40
    catalogue = SimpleNamespace(release_ts=tf.zeros([items + 1], tf.int64), item_ids=tf.range(items + 1)[:, None])
    encoder = SimpleNamespace(catalogue=catalogue, lookups={"item_id": SimpleNamespace(buckets=9)})
    rng = np.random.default_rng(0)
    monkeypatch.setattr(retrieval, "embed_in_blocks", lambda *_: np.ones((items, 2), np.float32))
    monkeypatch.setattr(retrieval, "query_vectors", lambda *_: np.ones((rows, 2), np.float32))
    pool = {"item": np.arange(1, items + 1), "item_stats": np.zeros((items, 7), np.float32)}
    positives = [{"item": rng.integers(1, items, rows), "ts": np.ones(rows, np.int64)} for _ in range(batches)]
    tracemalloc.start()
    retrieval.held_out_gain(SimpleNamespace(encoder=encoder), positives, pool)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < rows * items * batches * 4 / 2  # half of the bytes of all scores
