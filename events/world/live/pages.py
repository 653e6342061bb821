"""Pages of rows that listeners are shown, as arrays over pages and slots."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pages:
    """Pages and who looks at them. A page is a list of slots in reading order: row by row, from the left.

    Args:
        user: Listener `[pages]`.
        at: Microseconds from the start of the first day `[pages]`.
        surface: Position in `schema.SURFACES` `[pages]`.
        item: Items `[pages, slots]`; -1 marks an empty slot, and empty slots come last.
        row, column: Place of each slot, both from 1 `[pages, slots]`. Column 1 begins a row.
    """

    user: np.ndarray
    at: np.ndarray
    surface: np.ndarray
    item: np.ndarray
    row: np.ndarray
    column: np.ndarray

    @classmethod
    def of(
        cls, user: np.ndarray, at: np.ndarray, surface: np.ndarray, pages: Sequence[Sequence[Sequence[int]]]
    ) -> "Pages":
        """Return the pages of lists of rows of items. Empty rows are left out."""
        places = [
            [
                (item, row, column)
                for row, items in enumerate(filter(len, rows), 1)
                for column, item in enumerate(items, 1)
            ]
            for rows in pages
        ]
        slots = max(map(len, places), default=0)
        cells = np.array([page + [(-1, 0, 0)] * (slots - len(page)) for page in places], np.int64)
        return cls(user, at, surface, *np.moveaxis(cells.reshape(len(places), slots, 3), 2, 0))

    @property
    def shown(self) -> np.ndarray:
        """Whether there is an item in each slot `[pages, slots]`."""
        return self.item >= 0

    @property
    def position(self) -> np.ndarray:
        """Position of each slot in the reading order, from 1 `[pages, slots]`."""
        return np.broadcast_to(np.arange(1, self.item.shape[1] + 1), self.item.shape)
