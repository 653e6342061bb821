"""Evaluation of SavedModels on the test span, through the signatures that clients call."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from events.schema import HEADS
from models.evaluation.metrics import (
    Interval,
    auc,
    bootstrap_mean,
    expected_calibration_error,
    log_loss,
    ndcg_at,
    rank_of_target,
    recall_at,
    reliability,
)
from models.evaluation.slices import OVERALL, slice_columns
from models.inputs.arrow_columns import number, sample
from models.inputs.raw_query import in_batches, raw_item, raw_query
from models.inputs.training_arrays import mask
from models.ranking.two_stage import Scorer, released_unseen
from models.saved.card import load_axes
from models.saved.saved_model import call
from segue.errors import InputError

MAX_ROWS = 20_000  # positives that retrieval is measured on; more would only narrow the interval
SMALLEST_SLICE = 50  # smaller slices are not reported, because their figures are noise


def popularity(train: pa.Table, items: pa.Table) -> np.ndarray:
    """Count the positives of each item before the test span, `[items]`: the scores of the popularity baseline."""
    index = pc.index_in(train.filter(train["positive"])["item_id"], items["item_id"].combine_chunks())
    return np.bincount(index.drop_null().to_numpy(), minlength=items.num_rows).astype(np.float64)


def retrieval_ranks(saved_model: Path | None, positives: pa.Table, items: pa.Table, prior: np.ndarray,
                    filter_seen: bool) -> np.ndarray:  # fmt: skip
    """The rank of each positive's item among all its candidates, from 0, `[n]`; infinite if it is no candidate.

    Args:
        saved_model: a retrieval or sequence SavedModel; None ranks by `prior`.
        positives: rows of a training set.
        items: the catalogue with its statistics as of the start of the test span.
        prior: a score for each item, `[items]`.
        filter_seen: exclude the items of the row's history.
    """
    target = pc.index_in(positives["item_id"], items["item_id"].combine_chunks()).to_numpy()
    score = (lambda chunk: prior[None, :]) if saved_model is None else Scorer(saved_model, items)
    ranks = []
    for start in range(0, positives.num_rows, 1000):
        chunk = positives.slice(start, 1000)
        allowed = released_unseen(chunk, items, filter_seen)
        ranks.append(rank_of_target(np.where(allowed, score(chunk), -np.inf), target[start : start + 1000]))
    return np.concatenate(ranks)


def retrieval_metrics(ranks: np.ndarray) -> dict[str, float]:
    """The mean recall and NDCG of ranks `[n]`."""
    return {
        "recall_at_10": float(recall_at(ranks, 10).mean()),
        "recall_at_100": float(recall_at(ranks, 100).mean()),
        "ndcg_at_10": float(ndcg_at(ranks, 10).mean()),
    }


def evaluate_retrieval(
    models: dict[str, Path], before: pa.Table, test: pa.Table, items: pa.Table, filter_seen: bool, seed: int
) -> dict:
    """Compare retrieval models and the popularity baseline on the same positives of the test span.

    Args:
        models: SavedModels: `candidate` and optionally `champion`, `sequence` and `champion_sequence`.
        before: the training set before the test span.
        test: the test span.
        items: the catalogue as of the start of the test span.
        filter_seen: exclude the items of the row's history.
        seed: seed of the sample and of the bootstrap.

    Returns:
        `models`: the metrics of each model and of `popularity`; `recall_at_100_over_popularity`: the candidate's mean
        gain with its 95 % interval; `sequence_as_a_source`: the mean of each gain of `beside_retrieval` for `sequence`
        with its interval; `slices`: recall@100 of each model by slice; and `examples`, the number of positives.

    Raises:
        InputError: the test span has no positives.
    """
    positives = sample(test.filter(test["positive"]), MAX_ROWS, seed)
    if positives.num_rows == 0:
        raise InputError("Evaluation needs a positive in the test span. It has none.", "Import a longer log.")
    prior = popularity(before, items)
    ranks = {"popularity": retrieval_ranks(None, positives, items, prior, filter_seen)}
    for name, path in models.items():
        ranks[name] = retrieval_ranks(path, positives, items, prior, filter_seen)
    gain = recall_at(ranks["candidate"], 100) - recall_at(ranks["popularity"], 100)
    beside = beside_retrieval(ranks["candidate"], ranks["sequence"]) if "sequence" in ranks else {}
    users = np.asarray(positives["user_id"].to_pylist())
    trained_items = set(pc.unique(before["item_id"]).to_pylist())
    return {
        "examples": positives.num_rows,
        "models": {name: retrieval_metrics(r) for name, r in ranks.items()},
        "recall_at_100_over_popularity": asdict(bootstrap_mean(gain, users, seed)),
        "sequence_as_a_source": {name: asdict(bootstrap_mean(g, users, seed)) for name, g in beside.items()},
        "slices": {
            f"{name}={value}": {
                "examples": int((column == value).sum()),
                **{m: retrieval_metrics(r[column == value])["recall_at_100"] for m, r in ranks.items()},
            }
            for name, column in slice_columns(positives, trained_items).items()
            for value in np.unique(column)
            if (column == value).sum() >= SMALLEST_SLICE
        },
    }


def beside_retrieval(retrieval: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    """The gain of each positive from a second source of candidates beside retrieval.

    Args:
        retrieval: the ranks that retrieval gives the positives, `[n]`.
        other: the ranks that the second source gives them, `[n]`.

    Returns:
        `recall_at_100`, the gain of the second source alone over retrieval alone, and `merged_recall_at_200`, the gain
        of 100 candidates from each source over 200 from retrieval, `[n]` each.
    """
    merged = recall_at(np.minimum(retrieval, other), 100)
    return {
        "recall_at_100": recall_at(other, 100) - recall_at(retrieval, 100),
        "merged_recall_at_200": merged - recall_at(retrieval, 200),
    }


def predict_ranking(saved_model: Path, table: pa.Table) -> dict[str, np.ndarray]:
    """Call the `score` signature for each row. The outputs, `[n]` each, are a prediction for each head and `reward`."""
    axes = load_axes(saved_model)
    score = tf.saved_model.load(str(saved_model)).signatures["score"]
    inputs = {
        **raw_query(table, axes),
        **raw_item(table),
        "genre_affinity": number(table["genre_affinity"]),
    }
    parts = [call(score, batch) for batch in in_batches(inputs)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def ranking_metrics(predictions: dict[str, np.ndarray], table: pa.Table) -> dict[str, dict[str, float]]:
    """AUC, log loss, calibration error, mean label and mean prediction of each head that has predictions and labels.

    A champion that was trained before a head existed has no predictions for it. The interval of the AUC is Hanley and
    McNeil's (`auc_interval`), because a bootstrap over listeners would need a thousand sorts.
    """
    out = {}
    for head in HEADS:
        weights = mask(table, head)
        if head not in predictions or weights.sum() == 0:
            continue
        known = weights > 0
        labels, scores = number(table[f"label_{head}"]), predictions[head]
        area = auc(labels, scores, weights)
        interval = auc_interval(area, int(labels[known].sum()), int((1 - labels[known]).sum()))
        out[head] = {
            "auc": area,
            "auc_low": interval.low,
            "auc_high": interval.high,
            "log_loss": log_loss(labels, scores, weights),
            "ece": expected_calibration_error(labels[known], scores[known]),
            "label_mean": float(labels[known].mean()),
            "prediction_mean": float(scores[known].mean()),
            "examples": int(known.sum()),
        }
    return out


def calibration_by_slice(
    predictions: dict[str, np.ndarray], table: pa.Table, slices: dict[str, np.ndarray], head: str
) -> dict[str, dict]:
    """The calibration of a head, overall and in every slice with at least 50 known labels.

    Args:
        predictions: the result of `predict_ranking`.
        table: the rows that were predicted.
        slices: for each slicing its value in every row, from `slice_columns`.
        head: the name of the head.

    Returns:
        For `overall` and each `name=value`: `examples`, `prediction_mean`, `label_mean`, `ece`, and `reliability`, bins
        of (mean prediction, mean label, examples) in ascending order of prediction.
    """
    known = mask(table, head) > 0
    labels, scores = number(table[f"label_{head}"]), predictions[head]
    rows = {OVERALL: known} | {
        f"{name}={value}": known & (column == value) for name, column in slices.items() for value in np.unique(column)
    }
    return {
        name: {
            "examples": int(own.sum()),
            "prediction_mean": float(scores[own].mean()),
            "label_mean": float(labels[own].mean()),
            "ece": expected_calibration_error(labels[own], scores[own]),
            "reliability": reliability(labels[own], scores[own]),
        }
        for name, own in rows.items()
        if own.sum() >= SMALLEST_SLICE
    }


def auc_interval(area: float, positives: int, negatives: int) -> Interval:
    """The 95 % interval of an AUC from its standard error (Hanley and McNeil, 1982, equation 1)."""
    if np.isnan(area):
        return Interval(area, area, area)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    half = 1.96 * float(np.sqrt(max(variance, 0.0) / (positives * negatives)))
    return Interval(area, max(0.0, area - half), min(1.0, area + half))
