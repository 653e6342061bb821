"""Evaluation of SavedModels on held-out time, through the signatures that serving calls."""

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

MAX_ROWS = 20_000  # held-out positives that retrieval is evaluated on; more would only narrow the interval
SMALLEST_SLICE = 50  # with fewer rows a slice's figure is mostly noise


def popularity(train: pa.Table, items: pa.Table) -> np.ndarray:
    """Number of positives of each item in a table: the scores of the popularity baseline, `[items]`."""
    index = pc.index_in(train.filter(train["positive"])["item_id"], items["item_id"].combine_chunks())
    return np.bincount(index.drop_null().to_numpy(), minlength=items.num_rows).astype(np.float64)


def retrieval_ranks(saved_model: Path | None, positives: pa.Table, items: pa.Table, prior: np.ndarray,
                    filter_seen: bool) -> np.ndarray:  # fmt: skip
    """The rank of each positive's item among all candidates, 0 for the best, `[n]`.

    Args:
        saved_model: a retrieval SavedModel; None ranks by `prior` for every query.
        positives: rows of a training set.
        items: the catalogue with its statistics as of the test span's start.
        prior: a score for each item, `[items]`; used without a model only.
        filter_seen: exclude the items of the history from the candidates.
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
    """Mean recall@10, recall@100 and NDCG@10 of ranks `[n]`."""
    return {
        "recall_at_10": float(recall_at(ranks, 10).mean()),
        "recall_at_100": float(recall_at(ranks, 100).mean()),
        "ndcg_at_10": float(ndcg_at(ranks, 10).mean()),
    }


def evaluate_retrieval(
    models: dict[str, Path], before: pa.Table, test: pa.Table, items: pa.Table, filter_seen: bool, seed: int
) -> dict:
    """Evaluate retrieval models and popularity on the same held-out positives.

    Args:
        models: SavedModels by name: `candidate` and, if they exist, `champion`, `sequence` and `champion_sequence`.
        before: the examples before the test span.
        test: the examples of the test span.
        items: the catalogue as of the test span's start.
        filter_seen: exclude the items of the history from the candidates.
        seed: seed of the sample and the bootstrap.

    Returns:
        `models` (metrics of each model and of `popularity`), `recall_at_100_over_popularity` (the mean difference
        with its 95 % interval), `sequence_as_a_source` (the gains of `beside_retrieval` for `sequence`, with their
        intervals), `slices` (recall@100 of each model in each slice of 50 positives or more), `examples`.

    Raises:
        InputError: the test span has no positive.
    """
    positives = sample(test.filter(test["positive"]), MAX_ROWS, seed)
    if positives.num_rows == 0:
        raise InputError("Evaluation needs a positive in the test span; it has none.", "Import a longer log.")
    prior = popularity(before, items)
    ranks = {"popularity": retrieval_ranks(None, positives, items, prior, filter_seen)}
    for name, path in models.items():
        ranks[name] = retrieval_ranks(path, positives, items, prior, filter_seen)
    gain = recall_at(ranks["candidate"], 100) - recall_at(ranks["popularity"], 100)
    beside = beside_retrieval(ranks["candidate"], ranks["sequence"]) if "sequence" in ranks else {}
    users = np.asarray(positives["user_id"].to_pylist())
    train_items = set(pc.unique(before["item_id"]).to_pylist())
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
            for name, column in slice_columns(positives, train_items).items()
            for value in np.unique(column)
            if (column == value).sum() >= SMALLEST_SLICE
        },
    }


def beside_retrieval(retrieval: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    """Gains in recall from a second source of candidates, for each positive.

    Args:
        retrieval: ranks by the retrieval model, `[n]`.
        other: ranks by the second source, `[n]`.

    Returns:
        `recall_at_100`: the second source alone minus retrieval alone, `[n]`. `merged_recall_at_200`: 100 candidates
        of each minus 200 of retrieval, `[n]`.
    """
    merged = recall_at(np.minimum(retrieval, other), 100)
    return {
        "recall_at_100": recall_at(other, 100) - recall_at(retrieval, 100),
        "merged_recall_at_200": merged - recall_at(retrieval, 200),
    }


def predict_ranking(saved_model: Path, table: pa.Table) -> dict[str, np.ndarray]:
    """The answers of the `score` signature for each row: a probability for each head, and `reward`; `[n]` each."""
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
    """AUC, log loss, calibration error, mean label and mean prediction of each head that has labels.

    The interval of the AUC is Hanley and McNeil's, 1982, equation 1, since a bootstrap over listeners would need a
    thousand sorts. A head without predictions is left out: a champion may be older than the head.

    Args:
        predictions: the result of `predict_ranking`.
        table: the same rows with their labels.
    """
    out = {}
    for head in HEADS:
        labelled = mask(table, head)
        if head not in predictions or labelled.sum() == 0:
            continue
        labels, scores = number(table[f"label_{head}"]), predictions[head]
        area = auc(labels, scores, labelled)
        interval = auc_interval(area, int(labels[labelled > 0].sum()), int((1 - labels[labelled > 0]).sum()))
        out[head] = {
            "auc": area,
            "auc_low": interval.low,
            "auc_high": interval.high,
            "log_loss": log_loss(labels, scores, labelled),
            "ece": expected_calibration_error(labels[labelled > 0], scores[labelled > 0]),
            "label_mean": float(labels[labelled > 0].mean()),
            "prediction_mean": float(scores[labelled > 0].mean()),
            "examples": int(labelled.sum()),
        }
    return out


def calibration_by_slice(
    predictions: dict[str, np.ndarray], table: pa.Table, slices: dict[str, np.ndarray], head: str
) -> dict[str, dict]:
    """Calibration of a head overall and in every slice that has 50 known labels or more.

    Args:
        predictions: the result of `predict_ranking`.
        table: the same rows with their labels.
        slices: the slices' values of every row, the result of `slice_columns`.
        head: the head's name.

    Returns:
        By `overall` and `name=value`: `examples`, `prediction_mean`, `label_mean`, `ece`, and `reliability` (bins of
        mean prediction, mean label and examples, lowest predictions first).
    """
    labelled = mask(table, head) > 0
    labels, scores = number(table[f"label_{head}"]), predictions[head]
    rows = {OVERALL: labelled} | {
        f"{name}={value}": labelled & (column == value)
        for name, column in slices.items()
        for value in np.unique(column)
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
    """95 % interval of an AUC from its standard error (Hanley and McNeil, 1982, equation 1).

    SciPy, statsmodels and scikit-learn have no interval for an AUC.
    """
    if np.isnan(area):
        return Interval(area, area, area)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    half = 1.96 * float(np.sqrt(max(variance, 0.0) / (positives * negatives)))
    return Interval(area, max(0.0, area - half), min(1.0, area + half))
