"""Raw inputs: what the signatures take, and how a training table's rows become them."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from models import features as F
from models.training import Arrays

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


def item_specs(axes: F.Axes) -> Specs:
    """Items: ids, profile and statistics, each `[n]`; `genre_weights` `[n, genres]`."""
    return {
        **specs(F.ITEM_STRINGS, [None], tf.string),
        **specs([*F.ITEM_COUNTS, *F.ITEM_RATES], [None], tf.float32),
        **specs(["genre_weights"], [None, axes.genres], tf.float32),
    }


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
        rows, columns, values = F.recent_first(table[name])
        target[rows, columns] = values.to_numpy(zero_copy_only=False)
    out |= {name: strings(table[name]) for name in (*F.USER_STRINGS, "surface")}
    out |= {name: F.number(table[name]) for name in (*F.USER_COUNTS, *F.USER_RATES, *F.SESSION_COUNTS)}
    out["genre_shares"] = F.dense(table["genre_shares"], axes.genres)
    out["content_type_shares"] = F.dense(table["content_type_shares"], axes.content_types)
    out["request_ts"] = F.seconds(table["ts"])
    return out


def raw_item(table: pa.Table, axes: F.Axes) -> Arrays:
    """The item inputs of a table's rows."""
    return {
        **{name: strings(table[name]) for name in F.ITEM_STRINGS},
        **{name: F.number(table[name]) for name in (*F.ITEM_COUNTS, *F.ITEM_RATES)},
        "genre_weights": F.dense(table["genre_weights"], axes.genres),
    }


def in_batches(arrays: Arrays, size: int = 1024):
    """Slices of at most `size` rows."""
    rows = len(next(iter(arrays.values())))
    for start in range(0, rows, size):
        yield {name: value[start : start + size] for name, value in arrays.items()}
