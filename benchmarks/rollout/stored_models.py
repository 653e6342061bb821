"""Tiny models for a gateway under a roll-out: two versions that differ in their scores, which tell who answered.

They have the signatures that the gateway asks, know a fixed catalogue and answer in well under a millisecond.
"""

import sys
from pathlib import Path

from benchmarks.subprocesses import run_module

MODELS = ("retrieval", "ranking")
FOUND = 50  # items of an answer of retrieval


def make(base: Path, items: list[str], variants: int) -> None:
    """Write `base/MODEL-VARIANT` for both models, in a process of its own; every score of a variant is its number.

    Raises:
        SegueError: the process failed.
    """
    base.mkdir(parents=True)
    (base / "items.txt").write_text("\n".join(items))
    run_module("benchmarks.rollout.stored_models", base, variants, timeout=600, quiet=True)


def save_retrieval(path: Path, items: list[str], variant: float) -> None:
    """Save a model that finds the same items for every listener: `item_ids` and `scores`, `[rows, FOUND]`."""
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "request_ts")])
    def find(request_ts: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.size(request_ts)
        ids = tf.tile(tf.constant([items[:FOUND]]), [rows, 1])
        return {"item_ids": ids, "scores": tf.fill(tf.shape(ids), variant)}

    tf.saved_model.save(module, str(path), signatures={"serving_default": find})


def save_ranking(path: Path, variant: float) -> None:
    """Save a model that gives every candidate the same `reward`, `[rows, n]`."""
    import tensorflow as tf

    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string, "candidate_ids")])
    def score(candidate_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"reward": tf.fill(tf.shape(candidate_ids), variant)}

    tf.saved_model.save(module, str(path), signatures={"serving_default": score})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    known = (folder / "items.txt").read_text().split("\n")
    for number in range(1, int(sys.argv[2]) + 1):
        save_retrieval(folder / f"retrieval-{number}", known, float(number))
        save_ranking(folder / f"ranking-{number}", float(number))
