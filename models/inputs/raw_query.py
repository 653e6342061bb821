"""Raw inputs of the saved models' signatures: their specs, and the conversion from a training table."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from models.inputs import encoder
from models.inputs.arrow_columns import dense, number, recent_first, seconds
from models.inputs.shards import Arrays

Specs = dict[str, tf.TensorSpec]

QUERY_STRINGS = (*encoder.USER_STRINGS, "surface")
QUERY_NUMBERS = (*encoder.USER_COUNTS, *encoder.USER_RATES, *encoder.SESSION_COUNTS)


def query_specs(axes: encoder.Axes) -> Specs:
    """The inputs that describe a query, by name.

    Histories `[b, h]` have the most recent entry first and are padded with '' and 0. Times are in seconds since 1970
    UTC.
    """
    return {
        **specs(["history_items", "history_actions"], [None, None], tf.string),
        **specs(["history_times"], [None, None], tf.int64),
        **specs(["request_ts"], [None], tf.int64),
        **specs(QUERY_STRINGS, [None], tf.string),
        **specs(QUERY_NUMBERS, [None], tf.float32),
        **specs(["genre_shares"], [None, axes.genres], tf.float32),
        **specs(["content_type_shares"], [None, axes.content_types], tf.float32),
    }


def item_specs() -> Specs:
    """The inputs that describe items, by name: ids and statistics, each `[n]`.

    The catalogue inside the model holds the rest, such as genres and creators.
    """
    return {**specs(["item_id"], [None], tf.string), **specs(encoder.ITEM_STATS, [None], tf.float32)}


def specs(names: Iterable[str], shape: list, dtype: tf.DType) -> Specs:
    """Tensor specs of one shape and type, by name."""
    return {name: tf.TensorSpec(shape, dtype, name) for name in names}


def strings(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a string column to an object array `[n]`; nulls become ''."""
    return np.asarray(pc.fill_null(column, "").to_pylist(), dtype=object)


def raw_query(table: pa.Table, axes: encoder.Axes) -> Arrays:
    """Convert the query columns of a training table to the arrays that `query_specs` describes."""
    shape = (table.num_rows, encoder.HISTORY)
    out: Arrays = {
        "history_items": np.full(shape, "", object),
        "history_actions": np.full(shape, "", object),
        "history_times": np.zeros(shape, np.int64),
    }
    for name, target in out.items():
        rows, columns, values = recent_first(table[name])
        target[rows, columns] = values.to_numpy(zero_copy_only=False)
    out |= {name: strings(table[name]) for name in QUERY_STRINGS}
    out |= {name: number(table[name]) for name in QUERY_NUMBERS}
    out["genre_shares"] = dense(table["genre_shares"], axes.genres)
    out["content_type_shares"] = dense(table["content_type_shares"], axes.content_types)
    out["request_ts"] = seconds(table["ts"])
    return out


def raw_item(table: pa.Table) -> Arrays:
    """Convert the item columns of a table to the arrays that `item_specs` describes."""
    return {"item_id": strings(table["item_id"]), **encoder.item_stats(table)}


def in_batches(arrays: Arrays, size: int = 1024) -> Iterator[Arrays]:
    """Cut arrays of the same rows into slices of at most `size` rows, in order."""
    rows = len(next(iter(arrays.values())))
    for start in range(0, rows, size):
        yield {name: value[start : start + size] for name, value in arrays.items()}
