"""Warm start: weights that a new model copies from a saved model, and embeddings token by token."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from models.fitting.loop import Model, create_weights
from models.fitting.warm_start import warm_start
from models.inputs.axes import fit_axes
from models.inputs.encoder import Encoder
from models.inputs.shards import Shards
from models.inputs.vocabulary import Lookup
from models.ranking.model import RankingModel
from models.retrieval.model import RetrievalModel
from models.saved.card import CARD
from models.sequence.model import SequenceModel
from models.training_config import RankingConfig, RetrievalConfig
from segue.errors import InputError
from segue.files import write_json
from tests.models.conftest import catalogue_table, training_table

keras = tf.keras

EXAMPLES = Shards.of({"item": np.array([1, 2], np.int32), "plan": np.array([1, 1], np.int32)})


class Tower(Model):
    """A model with two vocabularies; one of its layers is inside a list."""

    def __init__(self, items: list[str], plans: list[str], buckets: int = 2, dim: int = 3, width: int = 4) -> None:
        super().__init__()
        self.encoder = SimpleNamespace(lookups={"item_id": Lookup(items, buckets), "plan": Lookup(plans)})
        self.items = keras.layers.Embedding(self.encoder.lookups["item_id"].size, dim)
        self.small = [keras.layers.Embedding(self.encoder.lookups["plan"].size, 2)]
        self.query = keras.Sequential([keras.layers.Dense(width, "relu"), keras.layers.Dense(1)])

    def vocabulary_embeddings(self):
        return {"item_id": [self.items.embeddings], "plan": [self.small[0].embeddings]}

    def compute_loss(self, inputs, training=False):
        parts = [self.items(inputs["item"]), self.small[0](inputs["plan"])]
        return tf.reduce_mean(self.query(tf.concat(parts, axis=1)))


class Served(tf.Module):
    """An exported module: the model and another variable."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model
        self.index = tf.Variable([1.0, 2.0])


def new_tower(seed: int, items=("a", "b"), plans=("free",), kind=Tower, **sizes) -> Tower:
    keras.utils.set_random_seed(seed)
    model = kind(list(items), list(plans), **sizes)
    create_weights(model, EXAMPLES)
    return model


@pytest.fixture(scope="module")
def champion() -> Tower:
    """A model whose items `a` and `b` have rows 3 and 4; rows 1 and 2 are for unknown items."""
    return new_tower(seed=1)


@pytest.fixture(scope="module")
def saved(champion, tmp_path_factory):
    """The folder of the champion's SavedModel."""
    path = tmp_path_factory.mktemp("saved") / "1"
    tf.saved_model.save(Served(champion), str(path))
    tokens = {name: lookup.tokens for name, lookup in champion.encoder.lookups.items()}
    write_json(path / CARD, {"axes": {"tokens": tokens}})
    return path


DENSE = ["query/layer_with_weights-0/kernel", "query/layer_with_weights-0/bias"]
LAST = ["query/layer_with_weights-1/kernel", "query/layer_with_weights-1/bias"]
ITEMS, PLANS = "items/embeddings", "small/0/embeddings"


def test_a_model_of_the_same_shape_copies_every_weight(champion, saved):
    model = new_tower(seed=2)
    assert not np.allclose(model.items.embeddings, champion.items.embeddings)
    outcomes = warm_start(model, saved)
    assert {name: set(paths) for name, paths in outcomes.items()} == {
        "copied": {ITEMS, PLANS, *DENSE, *LAST},
        "partly_copied": set(),
        "left": set(),
    }
    for left, right in zip(model.get_weights(), champion.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_items_are_copied_by_token_and_new_items_start_from_their_out_of_vocabulary_row(champion, saved):
    model = new_tower(seed=2, items=["b", "c", "z"])
    outcomes = warm_start(model, saved)
    old, new = champion.items.embeddings.numpy(), model.items.embeddings.numpy()
    np.testing.assert_array_equal(new[:3], old[:3])  # padding and the rows for unknown items
    np.testing.assert_array_equal(new[3], old[4])  # b
    for row, token in ((4, "c"), (5, "z")):
        bucket = int(champion.encoder.lookups["item_id"](tf.constant(token)))
        assert bucket in (1, 2)
        np.testing.assert_array_equal(new[row], old[bucket])
    assert outcomes["partly_copied"] == [ITEMS]
    assert PLANS in outcomes["copied"]


def test_a_smaller_vocabulary_is_copied_completely(champion, saved):
    model = new_tower(seed=2, items=["b"])
    outcomes = warm_start(model, saved)
    np.testing.assert_array_equal(model.items.embeddings.numpy(), champion.items.embeddings.numpy()[[0, 1, 2, 4]])
    assert ITEMS in outcomes["copied"]


def test_with_another_number_of_buckets_only_the_bucket_rows_keep_their_initial_values(champion, saved):
    model = new_tower(seed=2, items=["a", "c"], buckets=5)
    initial = model.items.embeddings.numpy()
    outcomes = warm_start(model, saved)
    old, new = champion.items.embeddings.numpy(), model.items.embeddings.numpy()
    np.testing.assert_array_equal(new[0], old[0])
    np.testing.assert_array_equal(new[1:6], initial[1:6])
    np.testing.assert_array_equal(new[6], old[3])  # a
    np.testing.assert_array_equal(new[7], old[int(champion.encoder.lookups["item_id"](tf.constant("c")))])
    assert outcomes["partly_copied"] == [ITEMS]


def test_weights_of_another_width_keep_their_initial_values(saved):
    model = new_tower(seed=2, dim=5, width=6)
    initial = model.get_weights()
    outcomes = warm_start(model, saved)
    # The first dense layer has other inputs and outputs. The last layer has other inputs, but its bias fits.
    assert set(outcomes["left"]) == {ITEMS, *DENSE, LAST[0]}
    assert set(outcomes["copied"]) == {PLANS, LAST[1]}
    np.testing.assert_array_equal(model.items.embeddings.numpy(), initial[0])


def test_a_weight_that_the_champion_lacks_keeps_its_initial_value(champion, saved):
    class Wider(Tower):
        def __init__(self, *args, **sizes) -> None:
            super().__init__(*args, **sizes)
            self.scale = tf.Variable(0.5)

        def compute_loss(self, inputs, training=False):
            return self.scale * super().compute_loss(inputs, training)

    model = new_tower(seed=2, kind=Wider)
    outcomes = warm_start(model, saved)
    assert outcomes["left"] == ["scale"]
    assert float(model.scale) == 0.5
    np.testing.assert_array_equal(model.items.embeddings, champion.items.embeddings)


def test_tokens_that_the_champion_lacks_start_from_its_unknown_row(saved, champion):
    model = new_tower(seed=2, plans=["family", "premium"])
    outcomes = warm_start(model, saved)
    unknown = champion.small[0].embeddings.numpy()[1]
    np.testing.assert_array_equal(model.small[0].embeddings.numpy()[2:], [unknown, unknown])
    assert outcomes["partly_copied"] == [PLANS]


def test_an_empty_vocabulary_is_copied(tmp_path):
    old, new = new_tower(seed=1, plans=[]), new_tower(seed=2, plans=[])
    tf.saved_model.save(Served(old), str(tmp_path))
    write_json(tmp_path / CARD, {"axes": {"tokens": {"item_id": ["a", "b"], "plan": []}}})
    assert PLANS in warm_start(new, tmp_path)["copied"]
    np.testing.assert_array_equal(new.small[0].embeddings.numpy()[:2], old.small[0].embeddings.numpy()[:2])


def test_the_step_count_is_not_copied(saved):
    model = new_tower(seed=2)
    model.step.assign(7)
    warm_start(model, saved)
    assert int(model.step) == 7


@pytest.mark.parametrize("lacks", ["all", "card", "weights"])
def test_a_folder_without_a_saved_model_is_refused(tmp_path, lacks):
    if lacks == "weights":
        write_json(tmp_path / CARD, {"axes": {"tokens": {}}})
    if lacks == "card":
        tf.saved_model.save(Served(new_tower(seed=1)), str(tmp_path))
    with pytest.raises(InputError, match=str(tmp_path)):
        warm_start(new_tower(seed=2), tmp_path)


def test_a_pushed_sequence_model_passes_on_its_transformer(trained_sequence, saved_sequence, world):
    coded, _ = trained_sequence
    before = coded.sequence
    items = catalogue_table(*({"item_id": item} for item in ("brand new", *world.items["item_id"].to_pylist())))
    later = training_table({"item_id": "brand new"}, {"item_id": "i0"})
    encoder = Encoder(fit_axes([world.train, later]), items)
    keras.utils.set_random_seed(5)
    model = SequenceModel(encoder, before.config, np.ones(len(items) + 1), timed=True, unseen=False)
    inputs = {name: tf.zeros([1, 12], tf.int32) for name in ("item", "action", "next_surface", "segment")}
    model.listener_vectors(inputs | {name: tf.zeros([1, 12], tf.int64) for name in ("time", "next_time")})
    outcomes = warm_start(model, saved_sequence)
    assert outcomes["left"] == []
    assert len(outcomes["partly_copied"]) == 1
    old, new = (m.items.embeddings[0].embeddings.numpy() for m in (before, model))
    np.testing.assert_array_equal(new[2], old[1])  # the new item is first in the vocabulary
    np.testing.assert_array_equal(np.delete(new, 2, axis=0), old)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_a_pushed_model_passes_on_every_weight(kind, world, request):
    trained, saved = request.getfixturevalue(f"trained_{kind}"), request.getfixturevalue(f"saved_{kind}")
    items = catalogue_table(*({"item_id": item} for item in ("brand new", *world.items["item_id"].to_pylist())))
    # A new item, which is first in the vocabulary, and a new country.
    later = training_table({"item_id": "brand new"}, {"country": "NO"}, {"item_id": "i0"})
    encoder = Encoder(fit_axes([world.train, later]), items)
    keras.utils.set_random_seed(5)
    if kind == "retrieval":
        model = RetrievalModel(encoder, RetrievalConfig(dim=16), encoder.item_table(items))
    else:
        model = RankingModel(encoder, RankingConfig(dim=16))
    create_weights(model, Shards.of(trained.arrays))
    outcomes = warm_start(model, saved)
    assert outcomes["left"] == []
    assert len(outcomes["partly_copied"]) == 2
    old, new = (m.items.embeddings[0].embeddings.numpy() for m in (trained.model, model))
    # The rows are padding, unknown and the tokens in order, so the new item moves all other items down.
    np.testing.assert_array_equal(new[2], old[1])
    np.testing.assert_array_equal(np.delete(new, 2, axis=0), old)
    pairs = zip(trained.model.trainable_weights, model.trainable_weights, strict=True)
    same = [before.shape == after.shape and np.array_equal(before, after) for before, after in pairs]
    assert same.count(False) == 2
