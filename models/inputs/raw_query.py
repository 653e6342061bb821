"""Raw inputs of the saved models' signatures, from the rows of a training table. The module needs no TensorFlow."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.inputs.arrow_columns import age_column, dense, number, recent_first, seconds, vector_width
from models.inputs.axes import Axes
from models.inputs.feature_names import AGE, HISTORY, ITEM_COUNTS, ITEM_RATES, QUERY_NUMBERS, QUERY_STRINGS
from models.inputs.shards import Arrays

NO_FILTERS: Arrays = {  # the inputs of one request without filters
    "k": np.zeros(1, np.int32),
    "content_types": np.full((1, 1), "", object),
    "released_after": np.zeros(1, np.int64),
    "market": np.full(1, "", object),
    "exclude_ids": np.full((1, 1), "", object),
    "heard": np.full(1, "", object),
}


def strings(column: pa.ChunkedArray) -> np.ndarray:
    """Convert a string column to an object array `[n]`; nulls become ''."""
    return np.asarray(pc.fill_null(column, "").to_pylist(), dtype=object)


def shares(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """Convert a column of shares to float32 `[n, width]`, as `surfaces.model_inputs` cuts or pads a request's.

    Vocabularies grow at their end, so entries beyond the width are younger than the model, and missing ones are older
    than the table.
    """
    values = dense(column, vector_width(column))[:, :width]
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))


def raw_query(table: pa.Table, axes: Axes) -> Arrays:
    """Convert the query columns of a training table to the arrays that `query_specs` describes."""
    shape = (table.num_rows, HISTORY)
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
    out["genre_shares"] = shares(table["genre_shares"], axes.genres)
    out["content_type_shares"] = shares(table["content_type_shares"], axes.content_types)
    out["request_ts"] = seconds(table["ts"])
    return out


def item_stats(table: pa.Table) -> dict[str, np.ndarray]:
    """The raw statistics of a table's items by name, float32 `[n]` each: nulls are 0, an unknown age is -1."""
    stats = {name: number(table[name]) for name in (*ITEM_COUNTS, *ITEM_RATES)}
    return {**stats, AGE: age_column(table)}


def raw_item(table: pa.Table) -> Arrays:
    """Convert the item columns of a table to the arrays that `item_specs` describes."""
    return {"item_id": strings(table["item_id"]), **item_stats(table)}


def in_batches(arrays: Arrays, size: int = 1024) -> Iterator[Arrays]:
    """Cut arrays of the same rows into slices of at most `size` rows, in order."""
    rows = len(next(iter(arrays.values())))
    for start in range(0, rows, size):
        yield {name: value[start : start + size] for name, value in arrays.items()}
