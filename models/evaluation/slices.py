"""Slices of held-out examples: each is a function of its name, and its docstring is its definition."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NEW_DAYS = 14.0
OVERALL = "overall"  # stands for all rows; no slice has this name


def surface(table: pa.Table, known_items: set[str]) -> np.ndarray:
    """The surface that showed the item; `none` if the log has no surface."""
    return text(table["surface"])


def content_type(table: pa.Table, known_items: set[str]) -> np.ndarray:
    """The item's content type; `none` if the catalogue has no type for it."""
    return text(table["content_type"])


def user_activity(table: pa.Table, known_items: set[str]) -> np.ndarray:
    """The length of the listener's history: `cold` 0, `light` 1 to 9, `regular` 10 to 49, `heavy` 50 or more."""
    length = pc.fill_null(pc.list_value_length(table["history_items"]), 0).to_numpy()
    return np.select([length == 0, length < 10, length < 50], ["cold", "light", "regular"], "heavy")


def item_novelty(table: pa.Table, known_items: set[str]) -> np.ndarray:
    """The item's novelty: `unseen` if the train span lacks it, else `new` up to 14 days after release, else `known`."""
    unseen = ~np.isin(np.asarray(table["item_id"].to_pylist()), list(known_items))
    age = pc.fill_null(table["age_at_request_days"], -1).to_numpy()
    return np.select([unseen, (age >= 0) & (age <= NEW_DAYS)], ["unseen", "new"], "known")


def text(column: pa.ChunkedArray) -> np.ndarray:
    """A string column as an array, with `none` for null and ''."""
    values = np.asarray(pc.fill_null(column, "none").to_pylist())
    return np.where(values == "", "none", values)


SLICES: dict[str, Callable[[pa.Table, set[str]], np.ndarray]] = {
    f.__name__: f for f in (surface, content_type, user_activity, item_novelty)
}


def slice_columns(table: pa.Table, known_items: set[str]) -> dict[str, np.ndarray]:
    """The value of every slice for each row of a table, by the slice's name: `[n]` each.

    Args:
        table: rows of a training set.
        known_items: ids of the items in the train span.
    """
    return {name: function(table, known_items) for name, function in SLICES.items()}
