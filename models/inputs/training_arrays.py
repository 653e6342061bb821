"""Encoded training arrays of each model, from the Arrow tables of a training set."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from events.schema import HEADS, LISTEN
from models.inputs.arrow_columns import number, seconds
from models.inputs.encoder import Encoder, request_dense
from models.inputs.shards import GROUP, Arrays
from segue.errors import InputError

EXACT = ("history", "history_action", "surface", "session", "user_ids")  # by which queries are told apart
POSITIVE = "positive"  # what the log counts as a positive


def retrieval_arrays(table: pa.Table, encoder: Encoder, positives: dict[str, float]) -> Arrays:
    """Encoded positives with `weight` float32 `[n]` and `ts` int64 `[n]`; rows that weigh nothing are left out.

    Args:
        table: examples.
        encoder: how they are encoded.
        positives: weights of `positive` and of labels by name.
    """
    weights = example_weights(table, positives)
    kept = table.filter(pa.array(weights > 0))
    known = {"weight": weights[weights > 0], "ts": seconds(kept["ts"])}
    return {**encoder.query_table(kept), **encoder.item_table(kept), **known}


def example_weights(table: pa.Table, positives: dict[str, float]) -> np.ndarray:
    """The summed weights of what holds of each example, float32 `[n]`; a label that is unknown adds nothing.

    Raises:
        InputError: a name that is neither `positive` nor a head's.
    """
    unknown = sorted(set(positives) - {POSITIVE, *HEADS})
    if unknown:
        raise InputError(
            f"Positives are named {', '.join((POSITIVE, *HEADS))}. Received {', '.join(unknown)}.",
            "Correct `retrieval.positives` in the configuration.",
        )
    columns = {name: POSITIVE if name == POSITIVE else f"label_{name}" for name in positives}
    parts = [weight * number(table[columns[name]].cast(pa.float32())) for name, weight in positives.items()]
    return np.asarray(np.sum(parts, axis=0), np.float32)


def ranking_arrays(table: pa.Table, encoder: Encoder) -> Arrays:
    """Encoded examples with labels and masks: `label_*`, `weight_*` float32 `[n]`.

    Besides, `request` float32 `[n, 3]`, `position` int32 `[n]` (0 where unknown), and what `same_query` says.
    """
    pairs = request_dense(number(table["genre_affinity"]), age(table)).numpy()
    names = (*HEADS, LISTEN)
    query = encoder.query_table(table)
    return {
        **query,
        **encoder.item_table(table),
        GROUP: same_query(table, query),
        "request": pairs.astype(np.float32),
        "position": pc.fill_null(table["position"], 0).to_numpy().astype(np.int32),
        **{f"label_{name}": number(table[f"label_{name}"]) for name in names},
        **{f"weight_{name}": mask(table, name) for name in names},
    }


def same_query(table: pa.Table, query: Arrays) -> np.ndarray:
    """A number of each row, int64 `[n]`, that rows one after the other share where their query is the same.

    That is where they answer one request of one listener, whose history is the same; the milliseconds between a slate's
    impressions do not count. Numbers of different queries differ, in other tables too.
    """
    stated = [table[name] for name in ("user_id", "request_id")]
    new = np.ones(table.num_rows, bool)
    new[1:] = ~np.logical_and.reduce(
        [pc.fill_null(pc.equal(c.slice(1), c.slice(0, max(len(c) - 1, 0))), False).to_numpy() for c in stated]
        + [(v[1:] == v[:-1]).reshape(len(v[1:]), -1).all(axis=1) for v in (query[name] for name in EXACT)]
    )
    first = table["event_id"].take(pa.array(np.flatnonzero(new)))
    hashed = tf.strings.to_hash_bucket_fast(first.to_pylist(), 2**62).numpy() if len(first) else np.zeros(0, np.int64)
    return hashed[np.cumsum(new) - 1]


def age(table: pa.Table) -> np.ndarray:
    """Days since release `[n]`, -1 where unknown."""
    return pc.fill_null(table["age_at_request_days"], -1).to_numpy().astype(np.float32)


def mask(table: pa.Table, head: str) -> np.ndarray:
    """1 where a head's label is known, else 0, float32 `[n]`."""
    return table[f"label_{head}"].is_valid().to_numpy().astype(np.float32)
