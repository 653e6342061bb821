"""Slices of held-out examples: named functions whose docstring is the slice's definition."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NEW_DAYS = 14.0
OVERALL = "overall"  # the name of no slice: all rows


def surface(table: pa.Table, known_items: set[str]) -> np.ndarray:
    """Where the item was shown; `none` if the log does not say."""
    return text(table["surface"])


def content_type(table: pa.Table, known_items: set[str]) -> np.ndarray:
    """The item's content type; `none` if the catalogue does not say."""
    return text(table["content_type"])


def user_activity(table: pa.Table, known_items: set[str]) -> np.ndarray:
    """Interactions the listener had before: `cold` 0, `light` 1 to 9, `regular` 10 to 49, `heavy` 50 or more."""
    length = pc.fill_null(pc.list_value_length(table["history_items"]), 0).to_numpy()
    return np.select([length == 0, length < 10, length < 50], ["cold", "light", "regular"], "heavy")


def item_novelty(table: pa.Table, known_items: set[str]) -> np.ndarray:
    """`unseen` if the training span never had the item, else `new` within 14 days of release, else `known`."""
    unseen = ~np.isin(np.asarray(table["item_id"].to_pylist()), list(known_items))
    age = pc.fill_null(table["age_at_request_days"], -1).to_numpy()
    return np.select([unseen, (age >= 0) & (age <= NEW_DAYS)], ["unseen", "new"], "known")


def text(column: pa.ChunkedArray) -> np.ndarray:
    """A string column as an array, null and '' as `none`."""
    values = np.asarray(pc.fill_null(column, "none").to_pylist())
    return np.where(values == "", "none", values)


SLICES: dict[str, Callable[[pa.Table, set[str]], np.ndarray]] = {
    f.__name__: f for f in (surface, content_type, user_activity, item_novelty)
}


def slice_columns(table: pa.Table, known_items: set[str]) -> dict[str, np.ndarray]:
    """Every slice's value for each row of `table`.

    Args:
        table: rows of a training set.
        known_items: items of the training span.
    """
    return {name: function(table, known_items) for name, function in SLICES.items()}
