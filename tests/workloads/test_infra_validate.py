"""The requests that infra validation sends fit the signatures of all models."""

import pyarrow.parquet as pq

from workloads.infra_validate import sample_requests
from workloads.training_set import MODELS


def test_requests_fit_the_signatures(world, saved_retrieval, saved_ranking, saved_sequence, tmp_path):
    import tensorflow as tf

    from models.saved.saved_model import call

    pq.write_table(world.test, tmp_path / "test.parquet")
    pq.write_table(world.items, tmp_path / "items_now.parquet")
    paths = dict(zip(MODELS, (saved_retrieval, saved_ranking, saved_sequence), strict=True))
    requests = sample_requests(tmp_path, paths, count=3, seed=0)
    assert {name: len(inputs) for name, inputs in requests.items()} == dict.fromkeys(MODELS, 3)
    shapes = {"retrieval": ("scores", 200), "ranking": ("reward", 20), "sequence": ("scores", 200)}
    for name, (output, width) in shapes.items():
        loaded = tf.saved_model.load(str(paths[name]))  # in a variable: its signatures do not keep it alive
        assert call(loaded.signatures["serving_default"], requests[name][0])[output].shape == (1, width)
    item_ids = set(world.items["item_id"].to_pylist())
    assert set(requests["ranking"][0]["candidate_ids"][0]) <= item_ids
