"""Measures how good a trial of a search is."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa

from models.evaluation.blessing import primary_head
from models.evaluation.held_out import MAX_ROWS, predict_ranking, ranking_metrics, retrieval_ranks
from models.evaluation.metrics import recall_at
from models.inputs.arrow_columns import sample
from models.saved.card import read_card
from segue.errors import InputError


def objective(model: str, saved_model: Path, validation: pa.Table, items: pa.Table, seed: int) -> tuple[str, float]:
    """Measure a trial on the validation span, through the signatures that serve it; higher is better.

    Args:
        model: `retrieval` or `ranking`.
        saved_model: the trial's SavedModel.
        validation: the examples of the validation span.
        items: the catalogue with its statistics as of the validation span's start.
        seed: seed of the sample that retrieval is measured on.

    Returns:
        The metric's name, `recall_at_100` or `auc_<primary head>`, and its value.

    Raises:
        InputError: no head has both labels, or a score is not finite.
    """
    if model == "retrieval":
        positives = sample(validation.filter(validation["positive"]), MAX_ROWS, seed)
        prior = np.zeros(items.num_rows)  # only popularity, which has no model, needs a prior
        ranks = retrieval_ranks(saved_model, positives, items, prior, read_card(saved_model)["filter_seen"])
        return "recall_at_100", float(recall_at(ranks, 100).mean())
    heads = ranking_metrics(predict_ranking(saved_model, validation), validation)
    head = primary_head(heads)
    if math.isnan(heads[head]["auc"]):
        raise InputError(
            f"Trials are judged by the AUC of {head}; some of the trial's scores are not finite.",
            "Leave out the trial's settings, such as a high learning rate.",
        )
    return f"auc_{head}", heads[head]["auc"]
