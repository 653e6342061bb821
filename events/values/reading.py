"""A reading: how the values of one column are converted, decided once for the whole column."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

CORRECT = "Correct the value, or check that the right column was mapped."

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


def as_type(data_type: pa.DataType, description: str) -> Reading:
    """Return the reading that casts a column and refuses what is not, for instance, `a number`."""
    return Reading(lambda column: column.cast(data_type), lambda value: Refusal(f", which is not {description}"))


def without_blanks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a text column without the spaces around its values; a blank value becomes null."""
    trimmed = pc.ascii_trim_whitespace(column)
    blank = pc.or_(pc.equal(pc.binary_length(trimmed), 0), pc.utf8_is_space(trimmed))
    return pc.if_else(blank, pa.scalar(None, trimmed.type), trimmed) if pc.any(blank).as_py() else trimmed
