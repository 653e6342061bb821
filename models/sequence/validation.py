"""What the sequence model is judged by while it trains: held-out choices, and the AUC of its action head."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from scipy.sparse import csr_matrix

from models.evaluation.metrics import auc
from models.inputs.arrow_columns import number, recent_first
from models.inputs.encoder import Encoder
from models.sequence.fit import HeldOut
from models.sequence.histories import table_requests
from models.sequence.model import SequenceModel

BATCH = 500


def action_auc(model: SequenceModel, rows: pa.Table) -> dict[str, float]:
    """How well the action head tells apart what was done with what was shown: AUC by action.

    Args:
        model: with an action head.
        rows: of a training set: a history, `item_id`, and `label_*` of the actions, null where they are unknown.

    Returns:
        Actions whose labels are known and differ; the others are left out.
    """
    encoder = model.encoder
    inputs = table_requests(rows, encoder.catalogue.known, encoder.lookups, model.config.length)
    items = encoder.catalogue.encode(rows["item_id"])
    parts = []
    for first in range(0, rows.num_rows, BATCH):
        part = slice(first, first + BATCH)
        vectors = model.listener_vectors({name: tf.constant(values[part]) for name, values in inputs.items()})
        parts.append(model.actions_of(vectors, model.item_vectors(tf.constant(items[part]))).numpy())
    likely = np.concatenate(parts)
    found = {}
    for place, action in enumerate(encoder.lookups["action"].tokens):
        label = rows[f"label_{action}"]
        area = auc(number(label), likely[:, place], label.is_valid().to_numpy())
        if not np.isnan(area):
            found[action] = area
    return found


def held_out(positives: pa.Table, items: pa.Table, encoder: Encoder, length: int, unseen: bool) -> HeldOut:
    """Rows of a training set as choices to predict among the items of a catalogue.

    Args:
        positives: the rows.
        items: the candidates.
        encoder: how items are numbered.
        length: of a history that is read.
        unseen: whether what is in the row's history is no candidate.
    """
    catalogue = encoder.catalogue
    candidates = catalogue.encode(items["item_id"])
    inputs = table_requests(positives, catalogue.known, encoder.lookups, length)
    had = None
    if unseen:
        rows, _, entries = recent_first(positives["history_items"])
        place = pc.fill_null(pc.index_in(entries, items["item_id"].combine_chunks()), -1).to_numpy(zero_copy_only=False)
        kept = place >= 0
        shape = (positives.num_rows, items.num_rows)
        had = csr_matrix((np.ones(int(kept.sum()), np.float32), (rows[kept], place[kept])), shape=shape)
    return HeldOut(inputs, catalogue.encode(positives["item_id"]), candidates, had)
