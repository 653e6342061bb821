"""Align two windows for a drift comparison: choose the columns they share, and make each column comparable."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from segue.errors import InputError

PREDICTION_PREFIX = "prediction_"  # of the columns that a model predicted; all others are features
NULL = "(null)"
OTHER = "(other)"

# Two samples of n rows from one distribution over k values have a Jensen-Shannon distance of about
# sqrt((k - 1) / 4n), so a column of ids would always seem to drift. Rarer and new values share one bucket.
MAX_CATEGORIES = 30


@dataclass
class Comparable:
    """Two windows over the same columns, ready for Evidently.

    Attributes:
        reference: the older window; float64 and string columns only.
        current: the newer window, with the same columns.
        numerical: columns compared by the distribution of their numbers.
        categorical: columns compared by the shares of their values.
        skipped: column -> the reason why it is not compared.
    """

    reference: pd.DataFrame
    current: pd.DataFrame
    numerical: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def features(self) -> list[str]:
        """The compared columns that are not predictions, in the frame's order."""
        return [name for name in self.reference if not name.startswith(PREDICTION_PREFIX)]

    @property
    def predictions(self) -> list[str]:
        """The compared columns that are predictions, in the frame's order."""
        return [name for name in self.reference if name.startswith(PREDICTION_PREFIX)]


def align(reference: pd.DataFrame, current: pd.DataFrame) -> Comparable:
    """Align two windows to the scalar columns that they share.

    A numerical column with nulls in either window gets a second column, `<name> is null`. The distance between
    numbers leaves nulls out, but a feature that goes missing is the commonest fault in serving. An infinite value
    counts as null. A column without any value in one window is compared by its second column alone.

    Args:
        reference: the older window, one row per served candidate or training example.
        current: the newer window.

    Returns:
        The aligned frames, and the columns that are not compared.

    Raises:
        InputError: a window has no rows, a column is numerical in one window and not in the other, or no
            scalar column is common to both.
    """
    for name, frame in (("reference", reference), ("current", current)):
        if frame.empty:
            raise InputError(
                f"A drift comparison needs rows in both windows. The {name} window has {len(frame)} rows "
                f"and {len(frame.columns)} columns.",
                "Choose a longer window, or check that the requests are logged.",
            )
    pairs: dict[str, tuple[pd.Series, pd.Series]] = {}
    result = Comparable(reference=pd.DataFrame(), current=pd.DataFrame())
    for name in reference.columns.union(current.columns, sort=False):
        if name not in current or name not in reference:
            result.skipped[name] = f"only in the {'reference' if name in reference else 'current'} window"
            continue
        older, newer = reference[name].reset_index(drop=True), current[name].reset_index(drop=True)
        types = {_column_type(older), _column_type(newer)} - {"null"}
        if not_scalar := types - {"numerical", "categorical"}:
            result.skipped[name] = f"not a scalar number or category but {', '.join(sorted(not_scalar))}"
        elif len(types) == 2:
            raise InputError(
                f"A column needs the same type in both windows. {name!r} is {older.dtype} in the reference and "
                f"{newer.dtype} in the current window.",
                "Write both windows with the same schema.",
            )
        elif types == {"categorical"}:
            result.categorical.append(name)
            pairs[name] = _pool_rare_values(older, newer)
        else:
            _add_numerical(result, pairs, name, older, newer)
    if not pairs:
        raise InputError(
            "A drift comparison needs a scalar column in both windows. Received "
            f"{sorted(map(str, reference.columns))} and {sorted(map(str, current.columns))}.",
            "Give both windows the training set's scalar columns and the prediction columns.",
        )
    result.reference = pd.DataFrame({name: older for name, (older, _) in pairs.items()})
    result.current = pd.DataFrame({name: newer for name, (_, newer) in pairs.items()})
    return result


def _column_type(values: pd.Series) -> str:
    """Return `numerical`, `categorical`, `null` (no value at all), or the name of another type."""
    dtype = values.dtype
    if values.isna().all():
        return "null"
    if pd.api.types.is_bool_dtype(dtype) or isinstance(dtype, pd.CategoricalDtype):
        return "categorical"
    if pd.api.types.is_numeric_dtype(dtype):
        return "numerical"
    if not (pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype)):
        return str(dtype)
    types = {type(value) for value in values.dropna()}
    return "categorical" if types <= {str, bool} else "/".join(sorted(type_.__name__ for type_ in types))


def _add_numerical(
    result: Comparable,
    pairs: dict[str, tuple[pd.Series, pd.Series]],
    name: str,
    older: pd.Series,
    newer: pd.Series,
) -> None:
    """Add a column of a numerical column's values, a column of its nulls, or both."""
    values = [
        pd.Series(np.nan, index=side.index)
        if side.isna().all()  # an all-null Parquet column may have any type
        else side.astype("float64").replace([np.inf, -np.inf], np.nan)
        for side in (older, newer)
    ]
    if not any(side.isna().all() for side in values):
        result.numerical.append(name)
        pairs[name] = (values[0], values[1])
    if any(side.isna().any() for side in values):
        result.categorical.append(f"{name} is null")
        masks = [side.isna().map({True: "null", False: "value"}) for side in values]
        pairs[f"{name} is null"] = (masks[0], masks[1])


def _pool_rare_values(older: pd.Series, newer: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return both sides as strings, with all but the reference's most frequent values in one bucket."""
    texts = [side.astype("object").where(side.notna(), NULL).astype(str) for side in (older, newer)]
    counts = texts[0].value_counts()
    # Ties are broken by name, so that the categories do not depend on the order of the rows.
    categories = sorted(counts.index, key=lambda value: (-counts[value], value))[:MAX_CATEGORIES]
    # If there is room, new values keep their names, so that the report shows them.
    categories += sorted(set(texts[1]) - set(categories) - set(counts.index))[: MAX_CATEGORIES - len(categories)]
    pooled = [side.where(side.isin(categories), OTHER) for side in texts]
    return pooled[0], pooled[1]
