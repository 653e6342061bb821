"""Read the labels that a log brings in its `label_*` columns."""

import pyarrow as pa
import pyarrow.compute as pc

from events.values.numbers import without_nan
from events.values.reading import Reading, Refusal

TRUE, FALSE = ("true", "yes", "t", "y"), ("false", "no", "f", "n")  # in any case

YES_OR_NO = Refusal(
    ", which is not 0, 1 or null: a label says whether something happened",
    "Write 1 if it happened, 0 if it did not, and nothing if that is unknown. Make a label of a rating by a threshold, "
    "such as 1 from 4 stars on; keep the rating itself in a column of another name.",
)
NOT_NEGATIVE = Refusal(
    ", which is not a finite number of at least 0",
    "Write log(1 + seconds listened), or nothing if the time is unknown.",
)


def read_yes_or_no(column: pa.ChunkedArray) -> Reading:
    """Return how the labels of a binary head are read: 0, 1, null, or true and false in their usual words."""
    return Reading(lambda c: demand(to_float(c), pc.is_in, pa.array([0.0, 1.0], pa.float32())), lambda value: YES_OR_NO)


def read_listen(column: pa.ChunkedArray) -> Reading:
    """Return how the labels of the `listen` head are read: finite numbers of at least 0."""
    return Reading(lambda c: demand(demand(to_float(c), pc.greater_equal, 0.0), pc.is_finite), lambda _: NOT_NEGATIVE)


def to_float(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert flags, numbers, and either of them as text to float32; NaN is null."""
    if pa.types.is_string(column.type):
        words = pc.utf8_lower(column)
        words = pc.if_else(pc.is_in(words, pa.array(TRUE)), "1", words)
        column = pc.if_else(pc.is_in(words, pa.array(FALSE)), "0", words)
    return without_nan(column.cast(pa.float64())).cast(pa.float32())


def demand(labels: pa.ChunkedArray, rule, *args) -> pa.ChunkedArray:
    """Return the labels if all that are not null keep the rule.

    Raises:
        pyarrow.ArrowInvalid: A label breaks it.
    """
    if not pc.all(rule(labels.drop_null(), *args), min_count=0).as_py():
        raise pa.ArrowInvalid("a label breaks its rule")
    return labels
