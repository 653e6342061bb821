"""Encoded training arrays of the retrieval and ranking models, from the Arrow tables of a training set."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events.schema import HEADS, LISTEN
from models.inputs.arrow_columns import number, seconds
from models.inputs.encoder import Encoder, request_dense
from models.inputs.item_age import age_column
from models.inputs.shards import Arrays
from segue.errors import InputError

POSITIVE = "positive"  # the column that marks the interactions which the log counts as positive


def retrieval_arrays(table: pa.Table, encoder: Encoder, positives: dict[str, float]) -> Arrays:
    """Encode the positive examples of a table.

    Args:
        table: rows of a training set.
        encoder: encodes queries and items.
        positives: weight of `positive` and of labels, by name.

    Returns:
        The encoder's arrays with `weight` float32 `[n]` and `ts` int64 `[n]` (seconds since 1970 UTC), for the n rows
        whose weight is above 0.
    """
    weights = example_weights(table, positives)
    kept = table.filter(pa.array(weights > 0))
    examples = {"weight": weights[weights > 0], "ts": seconds(kept["ts"])}
    return {**encoder.query_table(kept), **encoder.item_table(kept), **examples}


def example_weights(table: pa.Table, positives: dict[str, float]) -> np.ndarray:
    """Sum the weights of the labels that are true of each example, float32 `[n]`; an unknown label adds nothing.

    For example, with the weights `positive: 1, like: 2` a positive example that was liked weighs 3.

    Raises:
        InputError: a name is neither `positive` nor a head.
    """
    unknown = sorted(set(positives) - {POSITIVE, *HEADS})
    if unknown:
        raise InputError(
            f"`retrieval.positives` takes the names {', '.join((POSITIVE, *HEADS))}. Received {', '.join(unknown)}.",
            "Correct `retrieval.positives` in the configuration.",
        )
    columns = {name: POSITIVE if name == POSITIVE else f"label_{name}" for name in positives}
    parts = [weight * number(table[columns[name]].cast(pa.float32())) for name, weight in positives.items()]
    return np.asarray(np.sum(parts, axis=0), np.float32)


def ranking_arrays(table: pa.Table, encoder: Encoder) -> Arrays:
    """Encode every example of a table with its labels.

    Returns:
        The encoder's arrays; for each head and `listen`, `label_*` float32 `[n]` and `weight_*` float32 `[n]`, which is
        0 where the label is unknown; `request` float32 `[n, 3]`; `position` int32 `[n]`, 0 where it is unknown.
    """
    request = request_dense(number(table["genre_affinity"]), age_column(table)).numpy()
    names = (*HEADS, LISTEN)
    return {
        **encoder.query_table(table),
        **encoder.item_table(table),
        "request": request.astype(np.float32),
        "position": pc.fill_null(table["position"], 0).to_numpy().astype(np.int32),
        **{f"label_{name}": number(table[f"label_{name}"]) for name in names},
        **{f"weight_{name}": mask(table, name) for name in names},
    }


def mask(table: pa.Table, head: str) -> np.ndarray:
    """A float32 mask `[n]`: 1 where a head's label is known, else 0."""
    return table[f"label_{head}"].is_valid().to_numpy().astype(np.float32)
