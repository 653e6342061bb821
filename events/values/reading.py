"""A reading: how the values of one column are converted, decided once for the whole column."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from events.bulk.text_bytes import may_have, surely_tidy

# How writers mark a missing value in text: pandas, NumPy, databases and their exports, JavaScript.
MISSING = ("nan", "NaN", "None", "<NA>", "NaT", "null", "NULL", "\\N", "undefined")
IN_ALL_MISSING = b"nN"  # one of these letters is in each
CORRECT = "Correct the value, or check that the right column was mapped."

Column = TypeVar("Column", pa.ChunkedArray, pa.Array)  # or one of its chunks
Convert = Callable[[pa.ChunkedArray], pa.ChunkedArray]


@dataclass(frozen=True)
class Refusal:
    """Why a value is refused.

    Args:
        rule: Follows the value in the error, for instance `, which is not a number`.
        fix: What to do about it.
    """

    rule: str
    fix: str = CORRECT


@dataclass(frozen=True)
class Reading:
    """How the values of one column are read.

    Args:
        convert: Converts the column or a slice of it. It raises `pa.ArrowException` if a value does not fit.
        explain: Says why `convert` refuses a value.
        note: What the whole column decided, for the import to say; empty if there is nothing to say.
        unchanged: Whether `convert` is known to return the values as they are.
    """

    convert: Convert
    explain: Callable[[Any], Refusal]
    note: str = ""
    unchanged: bool = False


def python_value(scalar: pa.Scalar) -> Any:
    """Return a value as Python's; a time that Python cannot hold, such as the year 10000, is text."""
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return str(scalar.cast(pa.string())) if pa.types.is_temporal(scalar.type) else f"a {scalar.type} out of range"


def as_type(data_type: pa.DataType, description: str) -> Reading:
    """Return the reading that casts a column and refuses what is not, for instance, `a number`."""
    return Reading(lambda column: column.cast(data_type), lambda value: Refusal(f", which is not {description}"))


def without_blanks(column: Column) -> Column:
    """Return a text column without the spaces around its values; a blank value becomes null."""
    if all(surely_tidy(texts) for texts in chunks_of(column)):
        return column
    trimmed = pc.ascii_trim_whitespace(column)
    blank = pc.or_(pc.equal(pc.binary_length(trimmed), 0), pc.utf8_is_space(trimmed))
    return pc.if_else(blank, pa.scalar(None, trimmed.type), trimmed) if pc.any(blank).as_py() else trimmed


def without_words(column: Column) -> Column:
    """Return a column with null for the words in `MISSING`, if it is text."""
    if not pa.types.is_string(column.type):
        return column
    if not any(may_have(texts, IN_ALL_MISSING) for texts in chunks_of(column)):
        return column
    # Not `if_else`, which gives wrong texts for a slice of a column (pyarrow 18).
    return pc.case_when(pc.make_struct(pc.invert(pc.is_in(column, pa.array(MISSING)))), column)


def chunks_of(column: Column) -> Sequence[pa.Array]:
    """Return the chunks of a column, or the one that is given."""
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def words_note(column: pa.ChunkedArray, known: pa.ChunkedArray) -> str:
    """Return how many values of a column `without_words` made null, or nothing."""
    count = known.null_count - column.null_count
    if not count:
        return ""
    words = column.filter(pc.and_(pc.is_valid(column), pc.is_null(known)))
    return f"{count:,} values such as {words[0].as_py()!r} are null"
