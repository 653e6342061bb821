"""Read lists, also those that are written as text, such as `rock|indie` or `['rock', 'indie']`."""

import ast
import csv
import json
import re

import pyarrow as pa
import pyarrow.compute as pc

from events.values.reading import MISSING, Reading, Refusal

NO_LIST = Refusal(", which is not a list of texts")

SEPARATOR = "|"  # the contract's
OTHER_SEPARATORS = (";", ",")
BRACKETS = {"[": "]", "{": "}", "(": ")"}
# What no plain value is: brackets around a quote or around nothing. Only these make a list of (round) brackets.
SURELY_LIST = re.compile(r"""[\[{(]\s*(['"]|[\]})]$)""")
BETWEEN_QUOTED = re.compile(r"""(?<=[^\s,]['"])\s+(?=['"])""")  # NumPy writes `['rock' 'indie']`


def read_lists(column: pa.ChunkedArray) -> Reading:
    """Return how a column of lists is read: as lists of texts, without null and blank parts."""

    def convert(values: pa.ChunkedArray) -> pa.ChunkedArray:
        lists = values.cast(pa.list_(pa.string()))
        parts = pc.list_flatten(lists)
        tidy = pc.and_(pc.not_equal(parts, ""), pc.equal(parts, pc.utf8_trim_whitespace(parts)))
        if not parts.null_count and pc.all(tidy, min_count=0).as_py():
            return lists
        texts = [value and [part for text in value if (part := (text or "").strip())] for value in lists.to_pylist()]
        return pa.chunked_array([pa.array(texts, lists.type)])

    return Reading(convert, lambda value: NO_LIST)


def read_text(column: pa.ChunkedArray) -> Reading:
    """Return how a column of lists in text is read; the whole column decides.

    - All values in brackets: a list as JSON, Python, NumPy or PostgreSQL writes it. A word that stands for a missing
      value, such as `nan`, is null beside them.
    - Otherwise the separator is `|` if any value has one. If none has, it is `;` or else `,`, where at least half of
      the values have one, or where at least half of the parts also stand alone as values (`rock`, `jazz`, and
      `rock, jazz`). So a single genre with a comma in its name stays whole.
    """
    values = [text for value in column.drop_null().to_pylist() if (text := value.strip())]
    lists = [text for text in values if text not in MISSING]
    bracketed = bool(lists) and all(in_brackets(text) for text in lists)
    separator = SEPARATOR if bracketed else separator_of(values)

    def parse(text: str) -> list[str] | None:
        if bracketed and text in MISSING:
            return None
        return parse_brackets(text) if bracketed or in_brackets(text, surely=True) else split(text, separator)

    def convert(texts: pa.ChunkedArray) -> pa.ChunkedArray:
        encoded = texts.combine_chunks().dictionary_encode()
        parsed = [parse(text.strip()) for text in encoded.dictionary.to_pylist()]
        return pa.chunked_array([pa.array(parsed, pa.list_(pa.string())).take(encoded.indices)])

    return Reading(convert, lambda value: NO_LIST, note(lists if bracketed else values, separator, bracketed))


def separator_of(values: list[str]) -> str:
    """Return the separator of the lists in a column; see `read`."""
    if any(SEPARATOR in value for value in values):
        return SEPARATOR
    for separator in OTHER_SEPARATORS:
        holders = [value for value in values if separator in value]
        parts = {part for value in set(holders) for part in split(value, separator) or ()}
        alone = parts & {value for value in values if separator not in value}
        if holders and (2 * len(holders) >= len(values) or 2 * len(alone) >= len(parts)):
            return separator
    return SEPARATOR


def note(values: list[str], separator: str, bracketed: bool) -> str:
    """Return what the import says about the lists; nothing if they follow the contract."""
    if bracketed:
        return f"lists written as text, such as {values[0]}, are read as lists"
    if separator != SEPARATOR:
        count = sum(separator in value for value in values)
        return f"lists are separated by `{separator}`: {count:,} of {len(values):,} values have one, none has a `|`"
    whole = [value for value in values if any(other in value for other in OTHER_SEPARATORS)]
    if whole and not any(SEPARATOR in value for value in values):
        return f"{len(whole):,} of {len(values):,} values have a `,` or `;` and stay whole, such as {whole[0]!r}"
    return ""


def split(text: str, separator: str) -> list[str] | None:
    """Return the parts of a text without the spaces around them and without empty parts; null for a blank text."""
    return [part for piece in text.split(separator) if (part := piece.strip())] if text else None


def in_brackets(text: str, surely: bool = False) -> bool:
    """Return whether a text begins and ends with brackets of one kind.

    Args:
        text: The text, without spaces around it.
        surely: Whether to take only brackets that no plain value has.
    """
    closed = len(text) > 1 and BRACKETS.get(text[0]) == text[-1]
    return closed and bool(SURELY_LIST.match(text) or not (surely or text[0] == "("))


def parse_brackets(text: str) -> list[str] | None:
    """Return the texts of a list in brackets; null for a blank text.

    Raises:
        pyarrow.ArrowInvalid: An element is no text and no number, for instance a dictionary.
    """
    if not text:
        return None
    elements = inside(BETWEEN_QUOTED.sub(", ", text[1:-1]))
    if any(not isinstance(element, str | int | float | None) for element in elements):
        raise pa.ArrowInvalid("an element is no text")
    return [part for element in elements if element is not None and (part := str(element).strip())]


def inside(inner: str) -> list:
    """Return the elements between brackets, written as in JSON, in Python, or bare as in PostgreSQL's `{a,"b c"}`."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return list(parse(f"[{inner}]"))
        except (ValueError, SyntaxError):
            continue
        except (RecursionError, MemoryError):
            raise pa.ArrowInvalid("lists of lists, too deep to read") from None
    line = " ".join(inner.splitlines())
    try:
        return next(csv.reader([line], skipinitialspace=True, escapechar="\\"), [])
    except csv.Error as error:
        raise pa.ArrowInvalid(str(error)) from None
