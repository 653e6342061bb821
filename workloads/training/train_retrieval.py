"""Train retrieval: a training set's folder in, a SavedModel out."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from models.inputs.encoder import Encoder
from models.inputs.training_arrays import retrieval_arrays
from models.retrieval import model as retrieval
from models.saved.retrieval_export import export_retrieval
from models.training_config import TrainingConfig
from segue.errors import InputError
from stores import parts
from workloads.run import Run
from workloads.training.champion import warm_start_of, warm_starter
from workloads.training_set import (
    REPEAT_ROWS,
    REPEATS,
    encoder_of,
    lineage,
    read_part,
    recency_of,
    repeat_share,
    shards_of,
)


def step(run: Run, training_set: Path, out: Path) -> None:
    """Train the run's retrieval model, from the served model's weights on, and write its SavedModel to `out`."""
    with run.step(__name__, reads=(parts.MODELS,)) as result:
        champion, result["warm_start"] = warm_start_of(run, "retrieval", training_set)
        # A step that is run again after a kill goes on from its last epoch.
        checkpoints = run.folder.checkpoints / "retrieval"
        result.update(train_retrieval(training_set, run.id, run.config, out, champion, checkpoints))


def train_retrieval(
    training_set: Path,
    run_id: str,
    config: TrainingConfig,
    out: Path,
    champion: Path | None = None,
    checkpoints: Path | None = None,
) -> dict:
    """Train retrieval and write its SavedModel to `out`.

    Args:
        training_set: the folder of the run's training set.
        run_id: the run's name, for the model's card.
        config: sizes, rates and seed.
        out: a folder that does not exist yet.
        champion: a retrieval SavedModel to start from.
        checkpoints: a folder that training resumes from.

    Returns:
        Lists by epoch (`loss`, `val_loss`, `judged`, `seconds`, `examples_per_second`), and `repeat_share`.

    Raises:
        InputError: the train or the validation span has no positive.
    """
    encoder = encoder_of(training_set)
    recency = recency_of(training_set, config)
    encode = lambda table: retrieval_arrays(table, encoder, config.retrieval.positives, recency)  # noqa: E731
    pool = encoder.item_table(played_negatives(training_set, encoder))
    items = encoder.item_table(read_part(training_set, "items_at_validation"))
    with TemporaryDirectory(prefix="segue-shards-") as folder:
        train, validation = (shards_of(training_set, p, encode, Path(folder)) for p in ("train", "validation"))
        for name, part in (("train", train), ("validation", validation)):
            if part.rows == 0:
                raise InputError(
                    f"Retrieval needs at least one positive in every part; the {name} part has none.",
                    "Check the importer's mapping of actions and `retrieval.positives`, or import a longer log.",
                )
        model, history = retrieval.fit(
            train, validation, pool, items, encoder, config.retrieval, config.seed, checkpoints, warm_starter(champion)
        )
    repeats = repeat_share(read_part(training_set, "train", ["positive", "history_items", "item_id"], REPEAT_ROWS))
    made_from = lineage(training_set, run_id, config)
    export_retrieval(model, read_part(training_set, "items_now"), repeats < REPEATS, made_from, out)
    return {**history, "repeat_share": repeats}


def played_negatives(training_set: Path, encoder: Encoder) -> pa.Table:
    """The negatives of items that somebody has played: as a negative, a new item would learn that nobody wants it."""
    negatives = read_part(training_set, "negatives")
    played = pa.array(encoder.axes.tokens["item_id"])
    return negatives.filter(pc.is_in(negatives["item_id"], played))
