"""A training set's folder, as the workloads read it.

It holds `train`, `validation`, `test` (labelled examples by global time), `sequences` (what each listener did in the
train span), `items_at_validation`, `items_at_test` (the catalogue as of the start of those spans), `items_now` (as of
the newest snapshot), `negatives` (what uniform negatives are drawn from), all Parquet; `manifest.json`, which also
names the `genres`; and `vocabularies.json`, fitted once on the train span.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.inputs.axes import AXES_COLUMNS, Axes, fit_axes
from models.inputs.shards import Arrays, Shards, read_parquet, write
from models.training_config import TrainingConfig
from segue.files import read_json, write_json

if TYPE_CHECKING:
    from models.inputs.encoder import Encoder

MODELS = ("retrieval", "ranking", "sequence")
REPEATS = 0.05  # share of positives heard before, from which a catalogue is one that people replay
REPEAT_ROWS = 200_000  # examples that this share is taken from
VOCABULARIES = "vocabularies.json"


def read_part(training_set: Path, name: str, columns: list[str] | None = None, rows: int | None = None) -> pa.Table:
    """One part of a training set, or some of its columns and first rows."""
    path = training_set / f"{name}.parquet"
    return pq.read_table(path, columns=columns) if rows is None else next(read_parquet(path, rows, columns))


def repeat_share(table: pa.Table) -> float:
    """Share of the positives whose item is already in the listener's history."""
    positives = table.filter(table["positive"])
    if positives.num_rows == 0:
        return 0.0
    history = positives["history_items"].combine_chunks()
    lengths = pc.list_value_length(history).to_numpy()
    rows = np.repeat(np.arange(positives.num_rows), lengths)
    own = positives["item_id"].combine_chunks().take(pa.array(rows))
    hits = pc.equal(pc.list_flatten(history), own).to_numpy(zero_copy_only=False)
    return float(len(np.unique(rows[hits])) / positives.num_rows)


def lineage(training_set: Path, run_id: str, config: TrainingConfig) -> dict:
    """What a model was made from: `dataset`, `sha256`, `split`, `genres`, `content_types`, `run_id` and `config`."""
    manifest = read_json(training_set / "manifest.json")
    origin = {name: manifest[name] for name in ("dataset", "sha256", "split", "genres", "content_types")}
    return {**origin, "run_id": run_id, "config": config.to_dict()}


def write_vocabularies(training_set: Path) -> None:
    """Fit the vocabularies of the train span and keep them in the training set."""
    train = read_parquet(training_set / "train.parquet", columns=AXES_COLUMNS)
    write_json(training_set / VOCABULARIES, fit_axes(train).to_dict())


def encoder_of(training_set: Path) -> "Encoder":
    """The encoder of a training set: the vocabularies of its train span, and its newest catalogue."""
    from models.inputs.encoder import Encoder  # TensorFlow, which steps that only read tables do not need

    return Encoder(Axes(**read_json(training_set / VOCABULARIES)), read_part(training_set, "items_now"))


def shards_of(training_set: Path, part: str, encode: Callable[[pa.Table], Arrays], folder: Path) -> Shards:
    """A part of a training set, encoded to disk a bounded number of rows at a time."""
    return write(read_parquet(training_set / f"{part}.parquet"), encode, folder / part)
