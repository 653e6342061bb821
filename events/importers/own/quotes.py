"""Find quotes that join rows or change values: one that is not closed, and one that a backslash precedes."""

import csv
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing

import pyarrow as pa

from events.bulk.text_bytes import occurrences
from segue.errors import InputError


class QuoteCheck:
    """Refuse a text with a quote inside a quoted value that is not doubled, or with a quoted value that does not end.

    Arrow reads such a file, and takes all rows until the next quote for one value. Few files have more lines than rows,
    an odd number of quotes, or backslashes before quotes, so few are read a second time, strictly.
    """

    def __init__(self, name: str, separator: str, above: int) -> None:
        """Take the name of the file, for errors, its separator, and the number of lines above its header line."""
        self._name, self._separator, self._above = name, separator, above
        self._quotes = self._line_feeds = self._returns = 0
        self._escaped = False

    def watch(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the text, in UTF-8 and with its header line, and look for signs of broken quotes in it."""
        self._quotes = self._line_feeds = self._returns = 0
        self._escaped = False
        for block in blocks:
            self._line_feeds += occurrences(block, b"\n")
            self._returns += occurrences(block, b"\r")
            if quotes := occurrences(block, b'"'):
                self._quotes += quotes
                self._escaped = self._escaped or b'\\"' in block
            yield block

    def refuse_broken(
        self, batches: Generator[pa.RecordBatch, None, None], content: Callable[[], Iterator[bytes]]
    ) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows that Arrow read from the watched text; then refuse the text if its quotes are broken.

        Args:
            batches: The rows.
            content: Reads the text again.

        Raises:
            InputError: A quote is broken. The error names the row.
        """
        rows = 0
        with closing(batches):
            for batch in batches:
                rows += batch.num_rows
                yield batch
        joined = max(self._line_feeds, self._returns) > rows + 1
        suspect = self._quotes and (joined or self._quotes % 2 or self._escaped)
        if not suspect or len(self._separator) > 1:
            return
        csv.field_size_limit(sys.maxsize)
        count = 0
        try:
            for _ in csv.reader(lines(content()), delimiter=self._separator, strict=True):
                count += 1
        except csv.Error as error:
            broken = "is not closed" if "end of data" in str(error) else "is followed by other text"
            raise InputError(
                f"{self._name}, row {self._above + count + 1}: a value begins with a quote that {broken}.",
                'Write a quote inside a value as two quotes (""), not as \\"; in Spark: `.option("escape", "\\"")`.',
            ) from None


def lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a text with their ends."""
    left = b""
    for block in blocks:
        *whole, left = [b"", *(left + block).splitlines(keepends=True)]  # the last may go on in the next block
        yield from (line.decode() for line in whole if line)
    if left:
        yield left.decode()
