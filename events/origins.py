"""Where the rows of a table came from, so that an error can name the file and the row."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RowOrigins:
    """The file and row that each row of a table was read from.

    Importers filter and sort rows, so a row's position in the table says nothing about its place in the file.

    Args:
        files: Names of the files.
        file: `[rows]`, index into `files`.
        row: `[rows]`, row number in that file. It counts from 1 and includes the header line, as an editor does.
            It differs from the editor's line number only if a quoted value spans several lines.
    """

    files: tuple[str, ...]
    file: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, name: str, rows: int, first: int = 1) -> "RowOrigins":
        """Return the origins of a whole file.

        Args:
            name: Name of the file.
            rows: Number of rows in the table.
            first: Row number of the first row: 1, or 2 if the file has a header line.
        """
        return cls((name,), np.broadcast_to(np.int32(0), rows), np.arange(first, first + rows, dtype=np.uint32))

    @classmethod
    def concat(cls, parts: list["RowOrigins"]) -> "RowOrigins":
        """Return the origins of a table that concatenates several tables."""
        if len(parts) == 1:
            return parts[0]
        names = tuple(name for part in parts for name in part.files)
        offsets = np.cumsum([0] + [len(part.files) for part in parts])
        files = [part.file + np.int32(offset) for part, offset in zip(parts, offsets[:-1], strict=True)]
        return cls(names, np.concatenate(files), np.concatenate([part.row for part in parts]))

    def take(self, rows: np.ndarray) -> "RowOrigins":
        """Return the origins of some rows of the table, given by positions or by a mask."""
        return RowOrigins(self.files, self.file[rows], self.row[rows])

    def at(self, position: int) -> tuple[str, int]:
        """Return the file name and the row number of the table's row at `position`."""
        return self.files[self.file[position]], int(self.row[position])

    @property
    def name(self) -> str:
        """The names of the files, separated by commas."""
        return ", ".join(self.files)
