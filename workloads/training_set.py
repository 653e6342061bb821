"""Reads the folder of a training set.

The folder holds these Parquet files: `train`, `validation` and `test` (labelled examples, split by global time),
`sequences` (each listener's interactions in the train span), `items_at_validation` and `items_at_test` (the catalogue
as of the start of those spans), `items_now` (the catalogue as of the newest snapshot) and `negatives` (items from which
uniform negatives are drawn). Beside them are `manifest.json`, which also names the `genres`, and `vocabularies.json`,
which is fitted once on the train span.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from events.dataset import identity
from events.splits import Split
from models.inputs.axes import AXES_COLUMNS, Axes, fit_axes
from models.inputs.recency import Recency
from models.inputs.shards import Arrays, Shards, read_parquet, write
from models.training_config import TrainingConfig
from segue.files import read_json, write_json

if TYPE_CHECKING:
    from models.inputs.encoder import Encoder

MODELS = ("retrieval", "ranking", "sequence")
REPEATS = 0.05  # from this share of repeated positives on, models recommend played items again
REPEAT_ROWS = 200_000  # number of examples over which the share is computed
VOCABULARIES = "vocabularies.json"


def read_part(training_set: Path, name: str, columns: list[str] | None = None, rows: int | None = None) -> pa.Table:
    """Read a part of a training set, or only some of its columns and its first rows."""
    path = training_set / f"{name}.parquet"
    return pq.read_table(path, columns=columns) if rows is None else next(read_parquet(path, rows, columns))


def repeat_share(table: pa.Table) -> float:
    """Return the share of the positives whose item is already in the listener's history."""
    positives = table.filter(table["positive"])
    if positives.num_rows == 0:
        return 0.0
    history = positives["history_items"].combine_chunks()
    lengths = pc.list_value_length(history).to_numpy()
    rows = np.repeat(np.arange(positives.num_rows), lengths)
    played = positives["item_id"].combine_chunks().take(pa.array(rows))
    hits = pc.equal(pc.list_flatten(history), played).to_numpy(zero_copy_only=False)
    return float(len(np.unique(rows[hits])) / positives.num_rows)


def recency_of(training_set: Path, config: TrainingConfig) -> Recency:
    """Return how much examples of a run weigh by their age. An example at the end of the train span has the age 0."""
    split = Split.from_dict(read_json(training_set / "manifest.json")["split"])
    return Recency(split.train_end.timestamp(), config.half_life_days)


def lineage(training_set: Path, run_id: str, config: TrainingConfig) -> dict:
    """Return a model's origin: `dataset`, `sha256`, `log`, `split`, `genres`, `content_types`, `run_id`, `config`."""
    manifest = read_json(training_set / "manifest.json")
    origin = {name: manifest[name] for name in ("dataset", "sha256", "split", "genres", "content_types")}
    return {**origin, "log": identity(manifest), "run_id": run_id, "config": config.to_dict()}


def write_vocabularies(training_set: Path) -> None:
    """Fit the vocabularies on the train span and write them to the training set."""
    train = read_parquet(training_set / "train.parquet", columns=AXES_COLUMNS)
    write_json(training_set / VOCABULARIES, fit_axes(train).to_dict())


def encoder_of(training_set: Path) -> "Encoder":
    """Make the encoder of a training set, from the vocabularies of its train span and its newest catalogue."""
    from models.inputs.encoder import Encoder  # imports TensorFlow, which steps that only read tables do not need

    return Encoder(Axes(**read_json(training_set / VOCABULARIES)), read_part(training_set, "items_now"))


def shards_of(training_set: Path, part: str, encode: Callable[[pa.Table], Arrays], folder: Path) -> Shards:
    """Encode a part of a training set to files, a bounded number of rows at a time."""
    return write(read_parquet(training_set / f"{part}.parquet"), encode, folder / part)
