"""Validation of the sequence model: the held-out choices that stop its training, and the AUC of its action head."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from scipy.sparse import csr_matrix

from models.evaluation.metrics import auc
from models.inputs.arrow_columns import number, recent_first
from models.inputs.encoder import Encoder
from models.sequence.fit import HeldOut
from models.sequence.model import SequenceModel
from models.sequence.request_inputs import table_requests

BATCH = 500  # rows that are predicted at once


def action_auc(model: SequenceModel, rows: pa.Table) -> dict[str, float]:
    """Compute the AUC of the action head for each action, over the items that were shown.

    Args:
        model: has an action head.
        rows: rows of a training set, with a history, `item_id`, and a `label_*` for each action, null where unknown.

    Returns:
        AUC by action. An action whose known labels are all equal, or that has none, is left out.
    """
    encoder = model.encoder
    inputs = table_requests(rows, encoder.catalogue.ids, encoder.lookups, model.config.length)
    items = encoder.catalogue.encode(rows["item_id"])
    parts = []
    for first in range(0, rows.num_rows, BATCH):
        part = slice(first, first + BATCH)
        vectors = model.listener_vectors({name: tf.constant(values[part]) for name, values in inputs.items()})
        parts.append(model.actions_of(vectors, model.item_vectors(tf.constant(items[part]))).numpy())
    probabilities = np.concatenate(parts)  # [rows, actions]
    auc_by_action = {}
    for column, action in enumerate(encoder.lookups["action"].tokens):
        label = rows[f"label_{action}"]
        area = auc(number(label), probabilities[:, column], label.is_valid().to_numpy())
        if not np.isnan(area):
            auc_by_action[action] = area
    return auc_by_action


def held_out(positives: pa.Table, items: pa.Table, encoder: Encoder, length: int, unseen: bool) -> HeldOut:
    """Turn positive rows of a training set into choices that a model must predict among a catalogue's items.

    Args:
        positives: the rows, each with its history.
        items: the catalogue of candidates.
        encoder: gives the rows of items.
        length: entries of a history that are read.
        unseen: whether to exclude items already in the row's history.
    """
    catalogue = encoder.catalogue
    candidates = catalogue.encode(items["item_id"])
    inputs = table_requests(positives, catalogue.ids, encoder.lookups, length)
    excluded = None
    if unseen:
        rows, _, entries = recent_first(positives["history_items"])
        place = pc.fill_null(pc.index_in(entries, items["item_id"].combine_chunks()), -1).to_numpy(zero_copy_only=False)
        kept = place >= 0
        shape = (positives.num_rows, items.num_rows)
        excluded = csr_matrix((np.ones(int(kept.sum()), np.float32), (rows[kept], place[kept])), shape=shape)
    return HeldOut(inputs, catalogue.encode(positives["item_id"]), candidates, excluded)
