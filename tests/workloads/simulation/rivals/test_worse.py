"""The deliberately worse candidate orders candidates the other way round, and is a canary."""

import numpy as np
import pytest
import tensorflow as tf

from models.saved.card import read_card
from models.saved.saved_model import call
from segue.settings import Home
from serving.store import model_store
from tests.models.conftest import saved_ranking, saved_retrieval, trained_ranking, trained_retrieval, world
from workloads.simulation.rivals.worse import push_worse

__all__ = ["saved_ranking", "saved_retrieval", "trained_ranking", "trained_retrieval", "world"]


def random_inputs(signature) -> dict[str, np.ndarray]:
    """One request of three candidates; what is not known of it is empty or 0."""
    _, specs = signature.structured_input_signature
    inputs = {
        name: np.full([1 if size is None else size for size in spec.shape], b"" if spec.dtype == tf.string else 0)
        .astype(spec.dtype.as_numpy_dtype)
        for name, spec in specs.items()
    }  # fmt: skip
    scores = np.array([[0.1, 0.7, 0.4]], np.float32)
    return inputs | {
        "candidate_ids": np.array([[b"i0", b"i1", b"i5"]], object),
        "retrieval_scores": scores,
        "sequence_scores": scores,
    }


@pytest.mark.slow  # it loads and saves a model
def test_the_worst_comes_first_and_the_heads_stay(saved_retrieval, saved_ranking, tmp_path):
    home = Home(tmp_path / "home")
    model_store.push(home.models, {"retrieval": saved_retrieval, "ranking": saved_ranking})
    version = push_worse(home, tmp_path)
    assert model_store.labels(home.models)["ranking"] == {"stable": 1, "canary": version}
    both = [tf.saved_model.load(str(home.models / "ranking" / str(each))).signatures for each in (1, version)]
    inputs = random_inputs(both[0]["serving_default"])
    usual, worse = (call(signatures["serving_default"], inputs) for signatures in both)
    assert np.ptp(usual["reward"]) > 0
    np.testing.assert_allclose(worse["reward"], -usual["reward"], rtol=1e-6)
    np.testing.assert_allclose(worse["like"], usual["like"], rtol=1e-6)
    assert set(both[0]) == set(both[1])
    assert read_card(home.models / "ranking" / str(version)) == read_card(home.models / "ranking" / "1")
