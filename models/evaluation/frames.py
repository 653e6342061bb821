"""Frames of scalar columns, which data validation and drift read. Imports no TensorFlow."""

import numpy as np
import pandas as pd
import pyarrow as pa

from models.inputs.arrow_columns import dense, sample, vector_width
from models.inputs.feature_names import ITEM_COUNTS, ITEM_RATES, REQUEST, SESSION_COUNTS, USER_COUNTS, USER_RATES
from models.inputs.shards import Arrays

MAX_ROWS = 50_000
CATEGORIES = ("surface", "country", "age_band", "plan", "content_type", "language")
NUMBERS = (
    *USER_COUNTS, *USER_RATES, "hours_since_last_play", *SESSION_COUNTS,
    *ITEM_COUNTS, "duration_s", *ITEM_RATES, *REQUEST,
)  # fmt: skip


def scalar_frame(table: pa.Table) -> pd.DataFrame:
    """The scalar features of a training table; categories are strings, and missing ones are null."""
    frame = table.select([*CATEGORIES, *NUMBERS]).to_pandas()
    for name in CATEGORIES:
        frame[name] = frame[name].astype(object).where(frame[name].notna() & (frame[name] != ""), None)
    return frame


def prediction_frame(table: pa.Table, predictions: Arrays, seed: int) -> pd.DataFrame:
    """The window that drift compares: scalar features and the ranking model's predictions, at most 50,000 rows.

    Args:
        table: rows of a training set.
        predictions: what `predict_ranking` returned for them, `[n]` each.
        seed: seed of the sample.

    Returns:
        Columns of `scalar_frame`, `main_genre` (index of the item's heaviest genre), `ts`, and `prediction_*` for each
        head and the reward.
    """
    for name, values in predictions.items():
        table = table.append_column(f"prediction_{name}", pa.array(values))
    rows = sample(table, MAX_ROWS, seed)
    frame = scalar_frame(rows)
    weights = dense(rows["genre_weights"], vector_width(rows["genre_weights"]))
    frame["main_genre"] = np.where(weights.max(axis=1) > 0, weights.argmax(axis=1).astype(str), None)
    names = ["ts", *(f"prediction_{name}" for name in predictions)]
    return frame.assign(**{name: rows[name].to_pandas() for name in names})
