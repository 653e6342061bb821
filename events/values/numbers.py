"""Read whole numbers."""

import pyarrow as pa
import pyarrow.compute as pc

from events.values.reading import Reading, Refusal


def read_whole(column: pa.ChunkedArray, data_type: pa.DataType) -> Reading:
    """Return how whole numbers are read: 3, 3.0, or either as text; a fraction, a date or a time of day is refused.

    A duration becomes its milliseconds, the unit of the contract.
    """

    def convert(values: pa.ChunkedArray) -> pa.ChunkedArray:
        if pa.types.is_string(values.type):
            values = without_nan(values.cast(pa.float64()))
        if pa.types.is_duration(values.type):
            values = values.cast(pa.duration("ms"), safe=False).cast(pa.int64())
        if pa.types.is_temporal(values.type):
            raise pa.ArrowInvalid("a date or a time is not a number")
        return values.cast(data_type)

    return Reading(convert, lambda value: Refusal(", which is not a whole number"))


def without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of decimals with null for NaN, which is how many writers mark a missing value."""
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
