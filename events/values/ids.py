"""Read ids. An id is text or a whole number; it becomes text."""

import math

import pyarrow as pa
import pyarrow.compute as pc

from events.bulk.batches import by_chunk, is_true_of_all
from events.bulk.text_bytes import surely_tidy
from events.values.reading import Reading, Refusal, without_blanks, without_words, words_note

# The bits of a whole number that a decimal of each type holds exactly; beyond them neighbours become equal.
EXACT_BITS = {pa.float32(): 24, pa.float64(): 53}
WRITTEN_DECIMAL = r"^-?\d+\.0+$|^-?\d(\.\d+)?[eE]\+?\d+$"  # 7.0 and 9.1e+18, as pandas writes a column of decimals


def read(column: pa.ChunkedArray, required: bool) -> Reading:
    """Return how a column of ids is read.

    - Decimals, which pandas makes of whole numbers beside a null, become whole numbers again: 7.0 is `7`. Also if they
      are written as text in the whole column.
    - Spaces around an id are cut off: an id from a column of fixed width would match no id of another table.
    - A blank id is null, and so is a word such as `nan` where an id is not required: it would tie all requests without
      an id together. `events.checks` refuses such words as listeners and items.
    """
    if pa.types.is_floating(column.type):
        return from_decimals(column.type)
    if pa.types.is_decimal(column.type):
        return Reading(lambda c: c.cast(pa.decimal128(38, 0)).cast(pa.string()), explain)
    if pa.types.is_string(column.type) and all_written_decimals(column):
        decimals = from_decimals(pa.float64())
        return Reading(lambda c: decimals.convert(c.cast(pa.float64())), explain_text)
    known = column if required else by_chunk(without_words, column)
    plain = is_plain(column)  # the usual case
    notes = filter(None, ["" if plain else spaces_note(column), words_note(column, known)])
    clean = without_blanks if required else lambda c: without_words(without_blanks(c))
    unchanged = plain and known.null_count == column.null_count
    return Reading(lambda c: clean(c.cast(pa.string())), explain, "; ".join(notes), unchanged)


def from_decimals(data_type: pa.DataType) -> Reading:
    """Return how ids are read from decimals: they must be whole and small enough to be exact."""
    bits = EXACT_BITS[data_type]

    def convert(column: pa.ChunkedArray) -> pa.ChunkedArray:
        if (pc.max(pc.abs(column)).as_py() or 0) >= 2**bits:
            raise pa.ArrowInvalid("an id is beyond the exact whole numbers")
        return column.cast(pa.float64()).cast(pa.int64()).cast(pa.string())

    return Reading(convert, lambda value: explain(value, bits))


def all_written_decimals(column: pa.ChunkedArray) -> bool:
    """Return whether every id is a whole number written as a decimal."""
    ids = column.drop_null()
    if len(ids) == 0 or not pc.match_substring_regex(ids.slice(0, 1), WRITTEN_DECIMAL)[0].as_py():
        return False  # the first id decides for most columns, which saves the pass over them
    return pc.all(pc.match_substring_regex(ids, WRITTEN_DECIMAL)).as_py()


def is_plain(column: pa.ChunkedArray) -> bool:
    """Return whether a column is text without blank ids and without spaces around ids."""

    def has_plain_ids(ids: pa.Array) -> bool:
        if surely_tidy(ids):
            return True
        blank = pc.min(pc.binary_length(ids)).as_py() == 0
        return not blank and not pc.any(pc.or_(padded(ids), pc.utf8_is_space(ids))).as_py()

    return pa.types.is_string(column.type) and is_true_of_all(has_plain_ids, column)


def spaces_note(column: pa.ChunkedArray) -> str:
    """Return how many ids have spaces around them, or nothing."""
    if not pa.types.is_string(column.type):
        return ""
    count = sum(pc.sum(pc.and_not(padded(ids), pc.utf8_is_space(ids))).as_py() or 0 for ids in column.chunks)
    return f"spaces around {count:,} ids were cut off" if count else ""


def padded(ids: pa.Array) -> pa.Array:
    """Return a mask that is true for ids with spaces around them, and for those of spaces alone."""
    return pc.less(pc.binary_length(pc.ascii_trim_whitespace(ids)), pc.binary_length(ids))


def explain(value: object, bits: int = 53) -> Refusal:
    """Say why a value is no id."""
    if isinstance(value, float) and math.isfinite(value) and abs(value) >= 2**bits:
        return Refusal(
            f": ids beyond 2^{bits} cannot be told apart as decimals; write them as integers or text",
            "Export the column again from its source: in pandas read it as `Int64` or `string`.",
        )
    return Refusal(", which is not text or a whole number")


def explain_text(value: str) -> Refusal:
    """Say why a decimal that is written as text is no id."""
    return explain(float(value))
