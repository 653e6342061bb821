"""Find quotes that join rows or change values: one that is not closed, and one that a backslash precedes."""

import csv
import io
import sys

from segue.errors import InputError


def refuse_broken(content: bytes, separator: str, rows: int, name: str) -> None:
    """Raise InputError if a quote inside a quoted value is not doubled, or if a quoted value does not end.

    Arrow reads such a file, and takes all rows until the next quote for one value. Few files have more lines than rows,
    an odd number of quotes, or backslashes before quotes, so few are read a second time, strictly.

    Args:
        content: The text in UTF-8, with its header line.
        separator: Separator of the columns.
        rows: Number of the rows that Arrow read.
        name: Name of the file, for errors.
    """
    quotes = content.count(b'"')
    joined = max(content.count(b"\n"), content.count(b"\r")) > rows + 1
    if not quotes or len(separator) > 1 or not (joined or quotes % 2 or b'\\"' in content):
        return
    csv.field_size_limit(sys.maxsize)
    count = 0
    try:
        for _ in csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator, strict=True):
            count += 1
    except csv.Error as error:
        broken = "is not closed" if "end of data" in str(error) else "is followed by other text"
        raise InputError(
            f"{name}, row {count + 1}: a value begins with a quote that {broken}.",
            'Write a quote inside a value as two quotes (""), not as \\"; in Spark: `.option("escape", "\\"")`.',
        ) from None
