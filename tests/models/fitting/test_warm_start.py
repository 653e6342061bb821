"""What a new model takes over from a saved one, weight by weight and token by token."""

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
    """Two vocabularies, a layer of its own and one inside a list."""

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
    """What an export saves: the model, and what else serving needs."""

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
    """Its items are `a` and `b` in rows 3 and 4; rows 1 and 2 are for unknown ones."""
    return new_tower(seed=1)


@pytest.fixture(scope="module")
def saved(champion, tmp_path_factory):
    """The champion's folder."""
    path = tmp_path_factory.mktemp("saved") / "1"
    tf.saved_model.save(Served(champion), str(path))
    tokens = {name: lookup.tokens for name, lookup in champion.encoder.lookups.items()}
    write_json(path / CARD, {"axes": {"tokens": tokens}})
    return path


DENSE = ["query/layer_with_weights-0/kernel", "query/layer_with_weights-0/bias"]
LAST = ["query/layer_with_weights-1/kernel", "query/layer_with_weights-1/bias"]
ITEMS, PLANS = "items/embeddings", "small/0/embeddings"


def test_the_same_model_takes_over_every_weight(champion, saved):
    model = new_tower(seed=2)
    assert not np.allclose(model.items.embeddings, champion.items.embeddings)
    done = warm_start(model, saved)
    assert {name: set(found) for name, found in done.items()} == {
        "copied": {ITEMS, PLANS, *DENSE, *LAST},
        "partly_copied": set(),
        "left": set(),
    }
    for left, right in zip(model.get_weights(), champion.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_items_are_copied_by_token_and_new_ones_start_from_the_row_that_served_them(champion, saved):
    model = new_tower(seed=2, items=["b", "c", "z"])
    done = warm_start(model, saved)
    old, new = champion.items.embeddings.numpy(), model.items.embeddings.numpy()
    np.testing.assert_array_equal(new[:3], old[:3])  # padding and the unknown ones
    np.testing.assert_array_equal(new[3], old[4])  # b
    for row, token in ((4, "c"), (5, "z")):
        served_by = int(champion.encoder.lookups["item_id"](tf.constant(token)))
        assert served_by in (1, 2)
        np.testing.assert_array_equal(new[row], old[served_by])
    assert done["partly_copied"] == [ITEMS]
    assert PLANS in done["copied"]


def test_tokens_that_are_gone_leave_a_whole_copy(champion, saved):
    model = new_tower(seed=2, items=["b"])
    done = warm_start(model, saved)
    np.testing.assert_array_equal(model.items.embeddings.numpy(), champion.items.embeddings.numpy()[[0, 1, 2, 4]])
    assert ITEMS in done["copied"]


def test_with_other_buckets_unknown_rows_stay_and_new_tokens_have_the_champions(champion, saved):
    model = new_tower(seed=2, items=["a", "c"], buckets=5)
    initial = model.items.embeddings.numpy()
    done = warm_start(model, saved)
    old, new = champion.items.embeddings.numpy(), model.items.embeddings.numpy()
    np.testing.assert_array_equal(new[0], old[0])
    np.testing.assert_array_equal(new[1:6], initial[1:6])
    np.testing.assert_array_equal(new[6], old[3])  # a
    np.testing.assert_array_equal(new[7], old[int(champion.encoder.lookups["item_id"](tf.constant("c")))])
    assert done["partly_copied"] == [ITEMS]


def test_other_widths_stay_as_initialised(saved):
    model = new_tower(seed=2, dim=5, width=6)
    initial = model.get_weights()
    done = warm_start(model, saved)
    # The layer before last has other inputs and outputs, the last other inputs; its bias fits.
    assert set(done["left"]) == {ITEMS, *DENSE, LAST[0]}
    assert set(done["copied"]) == {PLANS, LAST[1]}
    np.testing.assert_array_equal(model.items.embeddings.numpy(), initial[0])


def test_what_the_champion_has_not_stays_as_initialised(champion, saved):
    class Wider(Tower):
        def __init__(self, *args, **sizes) -> None:
            super().__init__(*args, **sizes)
            self.scale = tf.Variable(0.5)

        def compute_loss(self, inputs, training=False):
            return self.scale * super().compute_loss(inputs, training)

    model = new_tower(seed=2, kind=Wider)
    done = warm_start(model, saved)
    assert done["left"] == ["scale"]
    assert float(model.scale) == 0.5
    np.testing.assert_array_equal(model.items.embeddings, champion.items.embeddings)


def test_a_vocabulary_that_the_champion_has_not_is_no_copy_of_another(saved, champion):
    model = new_tower(seed=2, plans=["family", "premium"])
    done = warm_start(model, saved)
    unknown = champion.small[0].embeddings.numpy()[1]
    np.testing.assert_array_equal(model.small[0].embeddings.numpy()[2:], [unknown, unknown])
    assert done["partly_copied"] == [PLANS]


def test_an_empty_vocabulary_is_copied_too(tmp_path):
    old, new = new_tower(seed=1, plans=[]), new_tower(seed=2, plans=[])
    tf.saved_model.save(Served(old), str(tmp_path))
    write_json(tmp_path / CARD, {"axes": {"tokens": {"item_id": ["a", "b"], "plan": []}}})
    assert PLANS in warm_start(new, tmp_path)["copied"]
    np.testing.assert_array_equal(new.small[0].embeddings.numpy()[:2], old.small[0].embeddings.numpy()[:2])


def test_steps_start_anew(saved):
    model = new_tower(seed=2)
    model.step.assign(7)
    warm_start(model, saved)
    assert int(model.step) == 7


@pytest.mark.parametrize("lacks", ["all", "card", "weights"])
def test_a_folder_that_is_no_saved_model_is_refused(tmp_path, lacks):
    if lacks == "weights":
        write_json(tmp_path / CARD, {"axes": {"tokens": {}}})
    if lacks == "card":
        tf.saved_model.save(Served(new_tower(seed=1)), str(tmp_path))
    with pytest.raises(InputError, match=str(tmp_path)):
        warm_start(new_tower(seed=2), tmp_path)


def test_a_pushed_sequence_model_hands_on_its_transformer(trained_sequence, saved_sequence, world):
    coded, _ = trained_sequence
    before = coded.sequence
    items = catalogue_table(*({"item_id": item} for item in ("brand new", *world.items["item_id"].to_pylist())))
    later = training_table({"item_id": "brand new"}, {"item_id": "i0"})
    encoder = Encoder(fit_axes([world.train, later]), items)
    keras.utils.set_random_seed(5)
    model = SequenceModel(encoder, before.config, np.ones(len(items) + 1), timed=True, unseen=False)
    inputs = {name: tf.zeros([1, 12], tf.int32) for name in ("item", "action", "next_surface", "segment")}
    model.listener_vectors(inputs | {name: tf.zeros([1, 12], tf.int64) for name in ("time", "next_time")})
    done = warm_start(model, saved_sequence)
    assert done["left"] == []
    assert len(done["partly_copied"]) == 1
    old, new = (m.items.embeddings[0].embeddings.numpy() for m in (before, model))
    np.testing.assert_array_equal(new[2], old[1])  # the new item takes the first place of the vocabulary
    np.testing.assert_array_equal(np.delete(new, 2, axis=0), old)


@pytest.mark.parametrize("kind", ["retrieval", "ranking"])
def test_a_pushed_model_hands_on_all_that_it_learned(kind, world, request):
    trained, saved = request.getfixturevalue(f"trained_{kind}"), request.getfixturevalue(f"saved_{kind}")
    items = catalogue_table(*({"item_id": item} for item in ("brand new", *world.items["item_id"].to_pylist())))
    # A new item, which takes the first place of the vocabulary, and a country that nobody came from before.
    later = training_table({"item_id": "brand new"}, {"country": "NO"}, {"item_id": "i0"})
    encoder = Encoder(fit_axes([world.train, later]), items)
    keras.utils.set_random_seed(5)
    if kind == "retrieval":
        model = RetrievalModel(encoder, RetrievalConfig(dim=16), encoder.item_table(items))
    else:
        model = RankingModel(encoder, RankingConfig(dim=16))
    create_weights(model, Shards.of(trained.arrays))
    done = warm_start(model, saved)
    assert done["left"] == []
    assert len(done["partly_copied"]) == 2
    old, new = (m.items.embeddings[0].embeddings.numpy() for m in (trained.model, model))
    # Rows: padding, unknown, then tokens in order: before it stood none.
    np.testing.assert_array_equal(new[2], old[1])
    np.testing.assert_array_equal(np.delete(new, 2, axis=0), old)
    pairs = zip(trained.model.trainable_weights, model.trainable_weights, strict=True)
    same = [one.shape == two.shape and np.array_equal(one, two) for one, two in pairs]
    assert same.count(False) == 2
