"""Read whole numbers."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from events.bulk.batches import is_true_of_all
from events.bulk.text_bytes import bytes_of, may_have, offsets_of
from events.values.reading import Reading, Refusal

THOUSANDS = r"^\s*-?[1-9]\d{0,2}\.\d{3}\s*$"
DIGITS = 15  # of whole numbers that decimals of 64 bits hold exactly
AMBIGUOUS = Refusal(
    ", which may be a fraction or have a point that separates thousands; the column does not decide which",
    "Write whole numbers without a point.",
)


def read_whole(column: pa.ChunkedArray, data_type: pa.DataType) -> Reading:
    """Return how whole numbers are read: 3, 3.0, or either as text; a fraction, a date or a time of day is refused.

    A duration becomes its milliseconds, the unit of the contract. A column of text with values such as 121.000, and
    with none that shows whether the point separates thousands or a fraction, is refused.
    """
    thousands = pa.types.is_string(column.type) and may_be_thousands(column)

    def convert(values: pa.ChunkedArray) -> pa.ChunkedArray:
        if thousands and pc.any(pc.match_substring_regex(values, THOUSANDS)).as_py():
            raise pa.ArrowInvalid("a point that may separate thousands")
        if pa.types.is_string(values.type) and all(digits_alone(texts) for texts in values.chunks):
            return values.cast(pa.int64()).cast(data_type)
        if pa.types.is_string(values.type):
            values = without_nan(values.cast(pa.float64()))
        if pa.types.is_duration(values.type):
            values = values.cast(pa.duration("ms"), safe=False).cast(pa.int64())
        if pa.types.is_temporal(values.type):
            raise pa.ArrowInvalid("a date or a time is not a number")
        return values.cast(data_type)

    return Reading(
        convert,
        lambda value: AMBIGUOUS if thousands and "." in str(value) else Refusal(", which is not a whole number"),
    )


def may_be_thousands(column: pa.ChunkedArray) -> bool:
    """Return whether the points in a column of text may separate thousands: three digits follow each, as in 121.000."""
    if is_true_of_all(lambda texts: not may_have(texts, b"."), column):
        return False
    pointed = column.filter(pc.match_substring(column, "."))
    return len(pointed) > 0 and pc.all(pc.match_substring_regex(pointed, THOUSANDS)).as_py()


def digits_alone(texts: pa.Array) -> bool:
    """Return whether texts are made of digits and minus signs, few enough for a whole number of 64 bits."""
    content = bytes_of(texts)
    wide = len(content) and (
        np.diff(offsets_of(texts)).max() > DIGITS or content.min() < ord("-") or content.max() > ord("9")
    )
    return not wide and not may_have(texts, b"./")


def without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of decimals with null for NaN, which is how many writers mark a missing value."""
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
