"""Read lists that are written as text, such as `rock|indie` or `['rock', 'indie']`."""

import ast
import csv
import json
import re

import pyarrow as pa

from events.values.reading import Reading, Refusal

SEPARATOR = "|"  # the contract's
OTHER_SEPARATORS = (";", ",")
BRACKETS = {"[": "]", "{": "}"}
QUOTED = re.compile(r"""[\[{]\s*['"]""")  # the beginning of a list that no plain value has


def read(column: pa.ChunkedArray) -> Reading:
    """Return how a column of lists in text is read; the whole column decides.

    - All values in `[]` or `{}`: a list as JSON, Python or PostgreSQL writes it.
    - Otherwise the separator is `|` if any value has one. If none has, it is `;` or else `,`, where at least half of
      the values have one, or where at least half of the parts also stand alone as values (`rock`, `jazz`, and
      `rock, jazz`). So a single genre with a comma in its name stays whole.
    """
    values = [text for value in column.drop_null().to_pylist() if (text := value.strip())]
    bracketed = bool(values) and all(in_brackets(text) for text in values)
    separator = SEPARATOR if bracketed else separator_of(values)

    def convert(texts: pa.ChunkedArray) -> pa.ChunkedArray:
        encoded = texts.combine_chunks().dictionary_encode()
        lists = [
            parse_brackets(text) if bracketed or (QUOTED.match(text) and in_brackets(text)) else split(text, separator)
            for text in map(str.strip, encoded.dictionary.to_pylist())
        ]
        return pa.chunked_array([pa.array(lists, pa.list_(pa.string())).take(encoded.indices)])

    return Reading(convert, lambda value: Refusal(", which is not a list of texts"), note(values, separator, bracketed))


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


def in_brackets(text: str) -> bool:
    """Return whether a text begins and ends with brackets of one kind."""
    return len(text) > 1 and BRACKETS.get(text[0]) == text[-1]


def parse_brackets(text: str) -> list[str] | None:
    """Return the texts of a list in brackets; null for a blank text.

    Raises:
        pyarrow.ArrowInvalid: An element is no text and no number, for instance a dictionary.
    """
    if not text:
        return None
    inner = text[1:-1]
    elements = inside(inner)
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
