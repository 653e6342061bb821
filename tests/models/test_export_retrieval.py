"""The retrieval SavedModel: its signatures, and which items it answers."""

import numpy as np
import pytest
import tensorflow as tf

from models.export import ServedRetrieval, call, read_card
from models.features import HISTORY, ITEM_COUNTS, ITEM_RATES, ITEM_STRINGS
from models.raw import raw_item, raw_query

QUERY = {
    "history_items": (tf.string, [None, None]),
    "history_actions": (tf.string, [None, None]),
    "history_times": (tf.int64, [None, None]),
    "request_ts": (tf.int64, [None]),
    **dict.fromkeys(["country", "age_band", "plan", "surface"], (tf.string, [None])),
    **dict.fromkeys(["user_plays_7d", "user_plays_28d", "session_plays", "session_skips"], (tf.float32, [None])),
    **dict.fromkeys(["user_skip_rate_7d", "user_skip_rate_28d"], (tf.float32, [None])),
    "genre_shares": (tf.float32, [None, 2]),
    "content_type_shares": (tf.float32, [None, 1]),
}
ITEM = {
    **dict.fromkeys(ITEM_STRINGS, (tf.string, [None])),
    **dict.fromkeys([*ITEM_COUNTS, *ITEM_RATES], (tf.float32, [None])),
    "genre_weights": (tf.float32, [None, 2]),
}


def contract(specs: dict) -> dict:
    """Names, types and shapes of a signature's side."""
    return {name: (spec.dtype, spec.shape.as_list()) for name, spec in specs.items()}


@pytest.fixture(scope="module")
def raw(world):
    """Eight queries of the test span."""
    return raw_query(world.test.slice(0, 8), world.encoder.axes)


def served(trained_retrieval, items, raw, filter_seen=False) -> list[list[str]]:
    """The answered ids a row, from a module with a catalogue of its own."""
    module = ServedRetrieval(trained_retrieval.model, items, filter_seen)
    answer = module.query(**{name: tf.constant(value) for name, value in raw.items()})
    return [[i.decode() for i in row] for row in answer["item_ids"].numpy()]


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("serving_default", QUERY, {"item_ids": (tf.string, [None, 20]), "scores": (tf.float32, [None, 20])}),
        ("embed_query", QUERY, {"embedding": (tf.float32, [None, 16])}),
        ("embed_item", ITEM, {"embedding": (tf.float32, [None, 16])}),
    ],
)
def test_signatures(retrieval_signatures, name, inputs, outputs):
    assert set(retrieval_signatures) == {"serving_default", "embed_query", "embed_item"}
    assert contract(retrieval_signatures[name].structured_input_signature[1]) == inputs
    assert contract(retrieval_signatures[name].structured_outputs) == outputs


def test_answers_are_all_items_once_best_first(retrieval_signatures, raw, world):
    answer = call(retrieval_signatures["serving_default"], raw)
    for ids, scores in zip(answer["item_ids"], answer["scores"], strict=True):
        assert sorted(i.decode() for i in ids) == sorted(world.items["item_id"].to_pylist())
        assert (np.diff(scores) <= 0).all()


def test_scores_are_dot_products_of_the_embeddings(retrieval_signatures, raw, world):
    answer = call(retrieval_signatures["serving_default"], raw)
    query = call(retrieval_signatures["embed_query"], raw)["embedding"]
    items = call(retrieval_signatures["embed_item"], raw_item(world.items, world.encoder.axes))["embedding"]
    row_of = {item: row for row, item in enumerate(world.items["item_id"].to_pylist())}
    rows = np.array([[row_of[i.decode()] for i in ids] for ids in answer["item_ids"]])
    np.testing.assert_allclose(answer["scores"], np.take_along_axis(query @ items.T, rows, 1), rtol=1e-4, atol=1e-4)


def test_the_answer_suits_the_listener(retrieval_signatures, raw):
    answer = call(retrieval_signatures["serving_default"], raw)["item_ids"]
    for history, ids in zip(raw["history_items"], answer, strict=True):
        taste = int(history[0][1:]) % 2
        assert sum(int(i[1:]) % 2 == taste for i in ids[:10]) >= 9


def test_items_are_answered_from_their_release_on(trained_retrieval, make_catalogue, raw, noon):
    now = int(noon.timestamp())
    items = make_catalogue(
        {"item_id": "i1", "release_ts": now},
        {"item_id": "i2", "release_ts": now + 1},
        {"item_id": "i3", "release_ts": 0},
        {"item_id": "i4", "release_ts": None},
    )
    one = {name: value[:1] for name, value in raw.items()}
    (at_noon,) = served(trained_retrieval, items, one | {"request_ts": np.array([now])})
    (later,) = served(trained_retrieval, items, one | {"request_ts": np.array([now + 1])})
    assert (sorted(at_noon[:3]), at_noon[3]) == (["i1", "i3", "i4"], "")  # '' where candidates ran out
    assert sorted(later) == ["i1", "i2", "i3", "i4"]


def test_what_was_seen_is_left_out_if_so_asked(trained_retrieval, world, raw):
    answers = served(trained_retrieval, world.items, raw, filter_seen=True)
    for history, ids in zip(raw["history_items"], answers, strict=True):
        seen = set(history) - {""}
        answered = [i for i in ids if i]
        assert not seen & set(answered)
        assert len(answered) == len(set(answered)) == 20 - len(seen)
        assert ids[len(answered) :] == [""] * len(seen)


def test_a_stranger_in_the_history_hides_nothing(trained_retrieval, world, raw):
    strangers = {"history_items": np.full((8, HISTORY), "never seen", object)}
    for ids in served(trained_retrieval, world.items, raw | strangers, filter_seen=True):
        assert "" not in ids


def test_items_that_training_never_met_are_answered(trained_retrieval, make_catalogue, raw):
    items = make_catalogue({"item_id": "brand new"}, {"item_id": "i1"})
    for ids in served(trained_retrieval, items, raw):
        assert sorted(ids) == ["brand new", "i1"]


def test_the_card_says_what_the_model_is(trained_retrieval, saved_retrieval, world, tmp_path):
    card = read_card(saved_retrieval)
    assert (card["dataset"], card["filter_seen"]) == ("checkerboard", False)
    assert card["axes"] == world.encoder.axes.to_dict()
