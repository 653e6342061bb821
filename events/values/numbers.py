"""Read whole numbers."""

import pyarrow as pa
import pyarrow.compute as pc

from events.values.reading import Reading, Refusal, without_blanks


def read_whole(column: pa.ChunkedArray, data_type: pa.DataType) -> Reading:
    """Return how whole numbers are read: 3, 3.0, or either as text; NaN is null, and a fraction is refused."""

    def convert(values: pa.ChunkedArray) -> pa.ChunkedArray:
        if pa.types.is_string(values.type):
            values = without_nan(without_blanks(values).cast(pa.float64()))
        return values.cast(data_type)

    return Reading(convert, lambda value: Refusal(", which is not a whole number"))


def without_nan(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of decimals with null for NaN, which is how many writers mark a missing value."""
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
