"""Raw inputs: what the signatures take, and how a training table's rows become them."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from models.inputs import encoder as F
from models.inputs.arrow_columns import dense, number, recent_first, seconds
from models.inputs.shards import Arrays

Specs = dict[str, tf.TensorSpec]


def query_specs(axes: F.Axes) -> Specs:
    """A query: histories `[b, h]` most recent first (padded with '' and 0), `request_ts` in seconds."""
    return {
        **specs(["history_items", "history_actions"], [None, None], tf.string),
        **specs(["history_times"], [None, None], tf.int64),
        **specs(["request_ts"], [None], tf.int64),
        **specs([*F.USER_STRINGS, "surface"], [None], tf.string),
        **specs([*F.USER_COUNTS, *F.USER_RATES, *F.SESSION_COUNTS], [None], tf.float32),
        **specs(["genre_shares"], [None, axes.genres], tf.float32),
        **specs(["content_type_shares"], [None, axes.content_types], tf.float32),
    }


def item_specs() -> Specs:
    """Items: ids and statistics, each `[n]`; the rest the catalogue inside the model knows."""
    return {**specs(["item_id"], [None], tf.string), **specs(F.ITEM_STATS, [None], tf.float32)}


def specs(names: Iterable[str], shape: list, dtype: tf.DType) -> Specs:
    """Named specs of one shape and type."""
    return {name: tf.TensorSpec(shape, dtype, name) for name in names}


def strings(column: pa.ChunkedArray) -> np.ndarray:
    """A string column as an object array, null as ''."""
    return np.asarray(pc.fill_null(column, "").to_pylist(), dtype=object)


def raw_query(table: pa.Table, axes: F.Axes) -> Arrays:
    """The query inputs of a training table's rows."""
    shape = (table.num_rows, F.HISTORY)
    out: Arrays = {
        "history_items": np.full(shape, "", object),
        "history_actions": np.full(shape, "", object),
        "history_times": np.zeros(shape, np.int64),
    }
    for name, target in out.items():
        rows, columns, values = recent_first(table[name])
        target[rows, columns] = values.to_numpy(zero_copy_only=False)
    out |= {name: strings(table[name]) for name in (*F.USER_STRINGS, "surface")}
    out |= {name: number(table[name]) for name in (*F.USER_COUNTS, *F.USER_RATES, *F.SESSION_COUNTS)}
    out["genre_shares"] = dense(table["genre_shares"], axes.genres)
    out["content_type_shares"] = dense(table["content_type_shares"], axes.content_types)
    out["request_ts"] = seconds(table["ts"])
    return out


def raw_item(table: pa.Table) -> Arrays:
    """The item inputs of a table's rows."""
    return {"item_id": strings(table["item_id"]), **F.item_stats(table)}


def in_batches(arrays: Arrays, size: int = 1024):
    """Slices of at most `size` rows."""
    rows = len(next(iter(arrays.values())))
    for start in range(0, rows, size):
        yield {name: value[start : start + size] for name, value in arrays.items()}
