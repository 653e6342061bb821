"""Encoded training arrays of each model, from the Arrow tables of a training set."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events.schema import HEADS
from models.features import Encoder, number, request_dense
from models.retrieval import sampling_probability
from models.training import Arrays
from segue.errors import InputError


def retrieval_arrays(table: pa.Table, encoder: Encoder) -> Arrays:
    """Encoded positives with the probability of drawing their items.

    Raises:
        InputError: the table has no positive.
    """
    positives = table.filter(table["positive"])
    if positives.num_rows == 0:
        raise InputError(
            f"Retrieval needs at least one positive in every part; {table.num_rows} examples have none.",
            "Check the importer's mapping of actions, or import a longer log.",
        )
    arrays = {**encoder.query_table(positives), **encoder.item_table(positives)}
    return {**arrays, "sampling_probability": sampling_probability(arrays["item_ids"][:, 0])}


def ranking_arrays(table: pa.Table, encoder: Encoder) -> Arrays:
    """Encoded examples with labels and masks: `label_*`, `weight_*` float32 `[n]`."""
    pairs = request_dense(number(table["genre_affinity"]), age(table)).numpy()
    return {
        **encoder.query_table(table),
        **encoder.item_table(table),
        "request": pairs.astype(np.float32),
        **{f"label_{head}": number(table[f"label_{head}"]) for head in HEADS},
        **{f"weight_{head}": mask(table, head) for head in HEADS},
    }


def age(table: pa.Table) -> np.ndarray:
    """Days since release `[n]`, -1 where unknown."""
    return pc.fill_null(table["age_at_request_days"], -1).to_numpy().astype(np.float32)


def mask(table: pa.Table, head: str) -> np.ndarray:
    """1 where a head's label is known, else 0, float32 `[n]`."""
    return table[f"label_{head}"].is_valid().to_numpy().astype(np.float32)
