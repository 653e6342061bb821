"""Training the sequence model in a run: a training set's folder in, a SavedModel out."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from scipy.sparse import csr_matrix

from models.columns import number, recent_first
from models.config import TrainingConfig
from models.evaluation import sample
from models.features import Encoder
from models.metrics import auc
from models.sequence.coded import fit_codes
from models.sequence.codes import Codebook
from models.sequence.export import CODES, export_sequence
from models.sequence.fit import HeldOut, fit
from models.sequence.histories import Histories, table_requests
from models.sequence.model import SequenceModel
from models.workloads import (
    REPEAT_ROWS,
    REPEATS,
    encoder_of,
    lineage,
    read_part,
    repeat_share,
    starts_warm,
)
from segue.errors import InputError
from segue.files import read_json

JUDGED = 2_000  # positives of the validation span by which an epoch is kept
LABELLED = 20_000  # rows of it by which the action head is judged
BATCH = 500


def train_sequence(
    training_set: Path,
    run_id: str,
    config: TrainingConfig,
    out: Path,
    champion: Path | None = None,
    checkpoints: Path | None = None,
) -> dict:
    """Train the sequence model and write its SavedModel to `out`.

    Args:
        training_set: the run's.
        run_id: goes into the card.
        config: sizes, rates and seed.
        out: a folder that does not stand yet.
        champion: a sequence SavedModel to start from, whose codes the items keep.
        checkpoints: a folder that training resumes from.

    Returns:
        `loss`, `val_loss`, `judged`, `seconds`, `examples_per_second` by epoch; `coding`, the same of the generative
        head; `collision_rate` of the codes; `action_auc` by action, if there is an action head.

    Raises:
        InputError: nobody has two interactions in the train span, or the validation span has no positive.
    """
    encoder = encoder_of(training_set)
    histories = Histories.of_table(read_part(training_set, "sequences"), encoder.catalogue.known, encoder.lookups)
    repeats = repeat_share(read_part(training_set, "train", ["positive", "history_items", "item_id"], REPEAT_ROWS))
    unseen = repeats < REPEATS
    if np.diff(histories.offsets).max(initial=0) < 2:
        raise InputError(
            "The sequence model learns from listeners with two interactions in the train span; there are none.",
            "Import a longer log.",
        )
    validation = read_part(training_set, "validation")
    positives = sample(validation.filter(validation["positive"]), JUDGED, config.seed)
    if positives.num_rows == 0:
        raise InputError("Training needs a positive in the validation span; it has none.", "Import a longer log.")
    items = read_part(training_set, "items_at_validation")
    judged = held_out(positives, items, encoder, config.sequence.length, unseen)
    model, history = fit(
        histories,
        judged,
        encoder,
        config.sequence,
        config.seed,
        unseen=unseen,
        checkpoints=checkpoints,
        prepare=starts_warm(champion),
    )
    book = Codebook.read(champion / CODES) if champion else None
    coded, book, coding = fit_codes(
        model,
        histories,
        judged,
        book,
        config.seed,
        checkpoints=checkpoints / "codes" if checkpoints else None,
    )
    now = read_part(training_set, "items_now")
    chosen = np.bincount(histories.item[histories.target], minlength=now.num_rows + 1)[1:]
    genres = read_json(training_set / "manifest.json")["genres"]
    export_sequence(coded, book, now, chosen, genres, unseen, lineage(training_set, run_id, config), out)
    found = {**history, "coding": coding, "collision_rate": book.collision_rate(now.num_rows)}
    if model.done_with is None:
        return found
    return found | {"action_auc": action_auc(model, sample(validation, LABELLED, config.seed))}


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
