"""Encoded training arrays of the retrieval and ranking models, from the Arrow tables of a training set."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from events.schema import TASKS
from models.inputs.arrow_columns import age_column, number, seconds
from models.inputs.encoder import Encoder, request_dense
from models.inputs.recency import EVEN, Recency
from models.inputs.shards import GROUP, Arrays
from models.training_config import POSITIVE_NAMES
from segue.errors import InputError

# Two rows are of one query if these arrays agree exactly; the times in the others may differ by milliseconds.
EXACT = ("history", "history_action", "surface", "session", "user_ids")
POSITIVE = "positive"  # the column that marks the interactions which the log counts as positive


def retrieval_arrays(table: pa.Table, encoder: Encoder, positives: dict[str, float], recency: Recency = EVEN) -> Arrays:
    """Encode the positive examples of a table.

    Args:
        table: rows of a training set.
        encoder: encodes queries and items.
        positives: weight of `positive` and of labels, by name.
        recency: the factor on the weight by the example's age.

    Returns:
        The encoder's arrays with `weight` float32 `[n]` and `ts` int64 `[n]` (seconds since 1970 UTC), for the n rows
        whose weight is above 0.
    """
    weights = example_weights(table, positives)
    kept = table.filter(pa.array(weights > 0))
    ts = seconds(kept["ts"])
    examples = {"weight": weights[weights > 0] * recency.weights(ts), "ts": ts}
    return {**encoder.query_table(kept), **encoder.item_table(kept), **examples}


def example_weights(table: pa.Table, positives: dict[str, float]) -> np.ndarray:
    """Sum the weights of each example's true labels, float32 `[n]`; an unknown label adds nothing.

    For example, with the weights `positive: 1, like: 2` a positive example that was liked weighs 3.

    Raises:
        InputError: a name is neither `positive` nor a head.
    """
    unknown = sorted(set(positives) - set(POSITIVE_NAMES))
    if unknown:
        raise InputError(
            f"`retrieval.positives` takes the names {', '.join(POSITIVE_NAMES)}. Received {', '.join(unknown)}.",
            "Correct `retrieval.positives` in the configuration.",
        )
    columns = {name: POSITIVE if name == POSITIVE else f"label_{name}" for name in positives}
    parts = [weight * number(table[columns[name]].cast(pa.float32())) for name, weight in positives.items()]
    return np.asarray(np.sum(parts, axis=0), np.float32)


def ranking_arrays(table: pa.Table, encoder: Encoder, recency: Recency = EVEN) -> Arrays:
    """Encode every example of a table with its labels.

    Args:
        table: rows of a training set.
        encoder: encodes queries and items.
        recency: the weight of an example by its age.

    Returns:
        The encoder's arrays; for each of `TASKS`, `label_*` float32 `[n]` and `weight_*` float32 `[n]`, which is
        0 where the label is unknown, else that of the example's age; `request` float32 `[n, 3]`; `position` int32
        `[n]`, 0 where it is unknown; and `GROUP`, which `same_query` describes.
    """
    request = request_dense(number(table["genre_affinity"]), age_column(table)).numpy()
    query, weight = encoder.query_table(table), recency.weights(seconds(table["ts"]))
    return {
        **query,
        **encoder.item_table(table),
        GROUP: same_query(table, query),
        "request": request.astype(np.float32),
        "position": pc.fill_null(table["position"], 0).to_numpy().astype(np.int32),
        **{f"label_{name}": number(table[f"label_{name}"]) for name in TASKS},
        **{f"weight_{name}": mask(table, name) * weight for name in TASKS},
    }


def same_query(table: pa.Table, query: Arrays) -> np.ndarray:
    """A number for each row, int64 `[n]`, which consecutive rows share if their query is the same.

    Rows have the same query if they answer one request of one listener with the same history. The milliseconds between
    the impressions of a slate do not count. Different queries have different numbers, also in other tables.
    """
    columns = [table[name] for name in ("user_id", "request_id")]
    new = np.ones(table.num_rows, bool)
    new[1:] = ~np.logical_and.reduce(
        [pc.fill_null(pc.equal(c.slice(1), c.slice(0, max(len(c) - 1, 0))), False).to_numpy() for c in columns]
        + [(v[1:] == v[:-1]).reshape(len(v[1:]), -1).all(axis=1) for v in (query[name] for name in EXACT)]
    )
    first = table["event_id"].take(pa.array(np.flatnonzero(new)))
    hashed = tf.strings.to_hash_bucket_fast(first.to_pylist(), 2**62).numpy() if len(first) else np.zeros(0, np.int64)
    return hashed[np.cumsum(new) - 1]


def mask(table: pa.Table, head: str) -> np.ndarray:
    """A float32 mask `[n]`: 1 where a head's label is known, else 0."""
    return table[f"label_{head}"].is_valid().to_numpy().astype(np.float32)
