"""The models of the serving benchmarks, and requests to them.

Retrieval finds the 100 best of 100,000 candidates for a query of 64 numbers. Ranking scores 200 candidates of 10
features. All numbers come from fixed seeds, so the models are the same on every machine.
"""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.subprocesses import run_module
from serving.client import calls

CANDIDATES, DIM, K = 100_000, 64, 100
ROWS, FEATURES, UNITS = 200, 10, (256, 128, 64, 1)
VARIANT = 1_000  # variant v adds v * VARIANT to every score; plain scores are far below 1,000
OUTPUTS = {"retrieval": "scores", "ranking": "score"}
REQUESTS = 16  # number of different requests, which are sent in rotation
# Candidates in a group. About sqrt(N / k) balances the two top-k passes at about sqrt(N * k) numbers each, and a
# divisor of N needs no padding.
GROUP = 32
assert CANDIDATES % GROUP == 0


def make(base: Path, variants: int) -> None:
    """Write `base/NAME-VARIANT` for both models, and `base/library-0`, in a process of its own.

    Args:
        base: the folder to write to.
        variants: number of variants of each model; variant v adds v * `VARIANT` to each score.

    Raises:
        SegueError: the process failed; the fix shows the end of its output.
    """
    run_module("benchmarks.serving.stored_models", base, variants, timeout=600, quiet=True)


def inputs(model: str, index: int) -> dict[str, np.ndarray]:
    """The inputs of one request, float32: `query` `[1, 64]`, or `f0` to `f9`, each `[200]`."""
    random = np.random.default_rng([1, index])
    if model == "retrieval":
        return {"query": random.standard_normal((1, DIM), np.float32)}
    return {f"f{i}": random.standard_normal(ROWS, np.float32) for i in range(FEATURES)}


def request(model: str, index: int, label: str | None = None) -> bytes:
    """A serialized PredictRequest."""
    return calls.predict(model, inputs(model, index), label=label).request


def candidates() -> np.ndarray:
    """The candidates' embeddings, float32 `[100000, 64]`."""
    return np.random.default_rng(0).standard_normal((CANDIDATES, DIM), np.float32)


def save_grouped(path: Path, variant: int) -> None:
    """Save an exact search in two top-k passes, made of TensorFlow's own operations.

    The k groups with the best members contain the k best candidates, so the second pass searches those groups alone.
    """
    import tensorflow as tf

    groups = CANDIDATES // GROUP
    module = tf.Module()
    module.columns = tf.Variable(candidates().T.copy())

    @tf.function(input_signature=[tf.TensorSpec([None, DIM], tf.float32, "query")])
    def search(query: Any) -> Any:
        scores = tf.reshape(tf.matmul(query, module.columns), [-1, groups, GROUP])
        best = tf.math.top_k(tf.reduce_max(scores, 2), K, sorted=False).indices  # [b, k]
        members = tf.reshape(tf.gather(scores, best, batch_dims=1), [-1, K * GROUP])
        top = tf.math.top_k(members, K)
        ids = tf.gather(best, top.indices // GROUP, batch_dims=1) * GROUP + top.indices % GROUP
        return {"ids": ids, "scores": top.values + float(variant * VARIANT)}

    tf.saved_model.save(module, str(path), signatures={"serving_default": search})


def save_library(path: Path) -> None:
    """Save the same search as TensorFlow Recommenders' own brute-force layer."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    module = tf.Module()
    module.index = tfrs.layers.factorized_top_k.BruteForce(k=K)
    module.index.index(candidates())

    @tf.function(input_signature=[tf.TensorSpec([None, DIM], tf.float32, "query")])
    def search(query: Any) -> Any:
        scores, ids = module.index(query)
        return {"ids": ids, "scores": scores}

    tf.saved_model.save(module, str(path), signatures={"serving_default": search})


def save_ranking(path: Path, variant: int) -> None:
    """Save a multi-layer perceptron of 256, 128, 64 and 1 units on the stacked features."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    widths = (FEATURES, *UNITS)
    module = tf.Module()
    module.weights = [
        tf.Variable(random.standard_normal(shape, np.float32) * math.sqrt(2 / shape[0]))
        for shape in zip(widths, UNITS, strict=False)
    ]
    module.biases = [tf.Variable(tf.zeros(width)) for width in UNITS]
    module.biases[-1].assign([float(variant * VARIANT)])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, f"f{i}") for i in range(FEATURES)])
    def rank(*features: Any) -> Any:
        values = tf.stack(features, 1)  # [n, features]
        for weights, biases in zip(module.weights[:-1], module.biases[:-1], strict=True):
            values = tf.nn.relu(tf.matmul(values, weights) + biases)
        return {"score": tf.squeeze(tf.matmul(values, module.weights[-1]) + module.biases[-1], 1)}

    tf.saved_model.save(module, str(path), signatures={"serving_default": rank})


def same_top(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], tolerance: float = 1e-4) -> bool:
    """Whether two answers of `ids` and `scores`, `[b, k]`, name the same candidates up to ties.

    Candidates of equal score may be in another order, and those tied for the last place may differ.
    """
    if ours["ids"].shape != theirs["ids"].shape or not np.allclose(ours["scores"], theirs["scores"], atol=tolerance):
        return False
    for ids, scores, other_ids, other_scores in zip(
        ours["ids"], ours["scores"], theirs["ids"], theirs["scores"], strict=True
    ):
        score_of = dict(zip(other_ids.tolist(), other_scores.tolist(), strict=True))
        if len(set(ids.tolist())) < len(ids):
            return False
        expected = np.array([score_of.get(candidate, other_scores[-1]) for candidate in ids.tolist()])
        if not np.allclose(scores, expected, atol=tolerance):
            return False
    return True


def main(base: Path, variants: int) -> None:
    """Write all models; the child process of `make` runs this."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    save_library(base / "library-0")
    for variant in range(variants):
        save_grouped(base / f"retrieval-{variant}", variant)
        save_ranking(base / f"ranking-{variant}", variant)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
