"""Frames of scalar columns, the input of data validation and drift detection."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from models.evaluation.held_out import predict_ranking, sample
from models.inputs import encoder as F
from models.inputs.arrow_columns import dense, vector_width

MAX_ROWS = 50_000
CATEGORIES = ("surface", "country", "age_band", "plan", "content_type", "language")
NUMBERS = (
    *F.USER_COUNTS, *F.USER_RATES, "hours_since_last_play", *F.SESSION_COUNTS,
    *F.ITEM_COUNTS, "duration_s", *F.ITEM_RATES, *F.REQUEST,
)  # fmt: skip


def scalar_frame(table: pa.Table) -> pd.DataFrame:
    """The scalar features of a training table; categories are strings, null where missing."""
    frame = table.select([*CATEGORIES, *NUMBERS]).to_pandas()
    for name in CATEGORIES:
        frame[name] = frame[name].astype(object).where(frame[name].notna() & (frame[name] != ""), None)
    return frame


def prediction_frame(saved_model: Path, table: pa.Table, seed: int) -> pd.DataFrame:
    """Scalar features, main genre, time and the ranking model's predictions, for at most 50,000 rows.

    Args:
        saved_model: a ranking SavedModel.
        table: rows of a training set.
        seed: of the sample, if there are more rows.

    Returns:
        The columns of `scalar_frame`, `main_genre` (index of the item's genre with the largest weight, as text),
        `ts`, and `prediction_*` for each head and the reward.
    """
    rows = sample(table, MAX_ROWS, seed)
    frame = scalar_frame(rows)
    weights = dense(rows["genre_weights"], vector_width(rows["genre_weights"]))
    frame["main_genre"] = np.where(weights.max(axis=1) > 0, weights.argmax(axis=1).astype(str), None)
    frame["ts"] = rows["ts"].to_pandas()
    predictions = predict_ranking(saved_model, rows)
    return frame.assign(**{f"prediction_{name}": values for name, values in predictions.items()})
