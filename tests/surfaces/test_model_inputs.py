"""What a model is sent, and the ids that it answers."""

import numpy as np

from surfaces.model_inputs import item_ids


def test_an_item_id_may_hold_any_characters():
    """If this fails, one such item among the candidates takes every page down to a fallback."""
    sent = ["é1", "日本", "plain", ""]
    outputs = {"item_ids": np.array([[one.encode() for one in sent]], object)}
    assert item_ids(outputs).tolist() == [sent]
    assert item_ids({"item_ids": np.empty((1, 0), object)}).shape == (1, 0)
