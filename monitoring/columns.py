"""Which columns two windows can be compared on, and how each is brought into a comparable form."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from segue.errors import InputError

PREDICTION_PREFIX = "prediction_"  # what a model said, as against what it was told
NULL = "(null)"
OTHER = "(other)"

# Two samples of one distribution over k values differ by about sqrt((k - 1) / 4n) in Jensen-Shannon distance,
# so a column of ids would always seem to drift. The rarer values share one bucket; new values fall into it
# too.
MAX_CATEGORIES = 30


@dataclass
class Comparable:
    """Two windows over the same columns, ready for Evidently.

    Attributes:
        reference: the older window; float64 and string columns only.
        current: the newer window, same columns.
        numerical: columns compared by value.
        categorical: columns compared by the mix of their values.
        skipped: column -> why it takes no part.
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
    """Bring two windows to the same scalar columns.

    A numerical column that has nulls in either window gets a second column, `<name> is null`: the distances
    leave nulls out, and a feature that goes missing is the commonest fault in serving. An infinite value
    counts as null. A column without any value in one window is compared by that second column alone.

    Args:
        reference: the older window, one row a served candidate or a training example.
        current: the newer window.

    Returns:
        The comparable frames, and what was left out.

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
    sides: dict[str, tuple[pd.Series, pd.Series]] = {}
    result = Comparable(reference=pd.DataFrame(), current=pd.DataFrame())
    for name in reference.columns.union(current.columns, sort=False):
        if name not in current or name not in reference:
            result.skipped[name] = f"only in the {'reference' if name in reference else 'current'} window"
            continue
        older, newer = reference[name].reset_index(drop=True), current[name].reset_index(drop=True)
        kinds = {kind for kind in (_kind(older), _kind(newer)) if kind != "null"}
        if unknown := kinds - {"numerical", "categorical"}:
            result.skipped[name] = f"not a scalar number or category but {', '.join(sorted(unknown))}"
        elif len(kinds) == 2:
            raise InputError(
                f"A column has one type in both windows. {name!r} is {older.dtype} in the reference and "
                f"{newer.dtype} in the current window.",
                "Write both windows with the same schema.",
            )
        elif kinds == {"categorical"}:
            result.categorical.append(name)
            sides[name] = _pooled(older, newer)
        else:
            _add_numerical(result, sides, name, older, newer)
    if not sides:
        raise InputError(
            "A drift comparison needs a scalar column that both windows have. Received "
            f"{sorted(map(str, reference.columns))} and {sorted(map(str, current.columns))}.",
            "Give both windows the training set's scalar columns and the prediction columns.",
        )
    result.reference = pd.DataFrame({name: older for name, (older, _) in sides.items()})
    result.current = pd.DataFrame({name: newer for name, (_, newer) in sides.items()})
    return result


def _kind(values: pd.Series) -> str:
    """`numerical`, `categorical`, `null` (no value at all), or the name of another type."""
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
    return "categorical" if types <= {str, bool} else "/".join(sorted(kind.__name__ for kind in types))


def _add_numerical(
    result: Comparable,
    sides: dict[str, tuple[pd.Series, pd.Series]],
    name: str,
    older: pd.Series,
    newer: pd.Series,
) -> None:
    """Add a numerical column's values, its nulls, or both."""
    values = [
        pd.Series(np.nan, index=side.index)
        if side.isna().all()  # of any type: an all-null Parquet column has none
        else side.astype("float64").replace([np.inf, -np.inf], np.nan)
        for side in (older, newer)
    ]
    if not any(side.isna().all() for side in values):
        result.numerical.append(name)
        sides[name] = (values[0], values[1])
    if any(side.isna().any() for side in values):
        result.categorical.append(f"{name} is null")
        masks = [side.isna().map({True: "null", False: "value"}) for side in values]
        sides[f"{name} is null"] = (masks[0], masks[1])


def _pooled(older: pd.Series, newer: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Both sides as strings, with all but the reference's most frequent values in one bucket."""
    texts = [side.astype("object").where(side.notna(), NULL).astype(str) for side in (older, newer)]
    counts = texts[0].value_counts()
    # Ties by name: which values are kept must not depend on the order of the rows.
    kept = sorted(counts.index, key=lambda value: (-counts[value], value))[:MAX_CATEGORIES]
    # With room left a new value keeps its name, so that the report shows it.
    kept += sorted(set(texts[1]) - set(kept) - set(counts.index))[: MAX_CATEGORIES - len(kept)]
    pooled = [side.where(side.isin(kept), OTHER) for side in texts]
    return pooled[0], pooled[1]
