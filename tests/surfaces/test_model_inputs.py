"""What a model is sent, and the ids that it answers."""

import numpy as np

from surfaces.model_inputs import item_ids, model_inputs


def test_an_item_id_may_hold_any_characters():
    """If this fails, one such item among the candidates takes every page down to a fallback."""
    sent = ["é1", "日本", "plain", ""]
    outputs = {"item_ids": np.array([[one.encode() for one in sent]], object)}
    assert item_ids(outputs).tolist() == [sent]
    assert item_ids({"item_ids": np.empty((1, 0), object)}).shape == (1, 0)


def test_vectors_take_the_width_of_the_signature():
    """A vocabulary grows at its end: an older model leaves out what is new, and a newer one pads what is missing."""
    specs = {
        "genre_shares": {"dtype": "float32", "shape": [None, 2]},
        "ids": {"dtype": "string", "shape": [None, None]},
    }
    rows = [{"genre_shares": [0.5, 0.25, 0.125], "ids": ["a", "b", "c"]}, {"genre_shares": [1.0]}]
    inputs = model_inputs(rows, specs)
    assert inputs["genre_shares"].tolist() == [[0.5, 0.25], [1.0, 0.0]]
    assert inputs["ids"].tolist() == [["a", "b", "c"], ["", "", ""]]
