"""Train the sequence model: a training set's folder in, a SavedModel out."""

from pathlib import Path

import numpy as np

from models.inputs.arrow_columns import sample
from models.sequence.coded import fit_codes
from models.sequence.codes import CODES, Codebook
from models.sequence.export import export_sequence
from models.sequence.fit import fit
from models.sequence.histories import Histories
from models.sequence.validation import action_auc, held_out
from models.training_config import TrainingConfig
from segue.errors import InputError
from segue.files import read_json
from stores import parts
from workloads.run import Run
from workloads.training.champion import warm_start_of, warm_starter
from workloads.training_set import REPEAT_ROWS, REPEATS, encoder_of, lineage, read_part, recency_of, repeat_share

JUDGED = 2_000  # positives of the validation span that choose the best epoch
LABELLED = 20_000  # rows of the validation span that the action head's AUC is computed on


def step(run: Run, training_set: Path, out: Path) -> None:
    """Train the run's sequence model, from the served model's weights on, and write its SavedModel to `out`."""
    with run.step(__name__, reads=(parts.MODELS,)) as result:
        champion, result["warm_start"] = warm_start_of(run, "sequence", training_set)
        # A step that is run again after a kill goes on from its last epoch.
        checkpoints = run.folder.checkpoints / "sequence"
        result.update(train_sequence(training_set, run.id, run.config, out, champion, checkpoints))


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
        training_set: the folder of the run's training set.
        run_id: the run's name, for the model's card.
        config: sizes, rates and seed.
        out: a folder that does not exist yet.
        champion: a sequence SavedModel to start from; items keep its codes.
        checkpoints: a folder that training resumes from.

    Returns:
        Lists by epoch (`loss`, `val_loss`, `judged`, `seconds`, `examples_per_second`); `coding`, the same lists of the
        generative head; `collision_rate` of the codes; `action_auc` by action, if there is an action head.

    Raises:
        InputError: no listener has two interactions in the train span, or the validation span has no positive.
    """
    encoder = encoder_of(training_set)
    sequences, recency = read_part(training_set, "sequences"), recency_of(training_set, config)
    histories = Histories.of_table(sequences, encoder.catalogue.ids, encoder.lookups, recency)
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
        prepare=warm_starter(champion),
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
    result = {**history, "coding": coding, "collision_rate": book.collision_rate(now.num_rows)}
    if model.done_with is None:
        return result
    return result | {"action_auc": action_auc(model, sample(validation, LABELLED, config.seed))}
