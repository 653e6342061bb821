"""A Home page: shelves of placed items, with the chance of every choice that was drawn."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from surfaces.home.layout_record import LayoutRecord


@dataclass(frozen=True)
class Shelf:
    """One shelf that may be shown.

    Args:
        id: its kind, and after a colon what it is about, e.g. `because_you_listened:i00042`.
        title: what a listener reads above it.
        reason: why the listener sees it, in one sentence.
        items: rows of the pool that may stand on it, `[m]`, in any order.
    """

    id: str
    title: str
    reason: str
    items: np.ndarray

    @property
    def kind(self) -> str:
        """What sort of shelf it is, e.g. `because_you_listened`; the layout policy learns by kind."""
        return kind_of(self.id)


def kind_of(shelf_id: str) -> str:
    """The kind of a shelf, which its id begins with."""
    return shelf_id.partition(":")[0]


class Placed(NamedTuple):
    """An item at its place.

    Args:
        index: the item's row in the pool.
        item_id: the item.
        row: row of its shelf on the page, from 1.
        column: place on the shelf, from 1.
        position: place on the page in reading order, from 1.
        propensity: chance of the item at this place, given the layout and the places before; 1 if it was not drawn.
        explored: whether the item was drawn within the budget of exploration.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    item_id: str
    row: int
    column: int
    position: int
    propensity: float
    explored: bool


@dataclass(frozen=True)
class Row:
    """A shelf as it is shown, with at least one item."""

    shelf: Shelf
    items: tuple[Placed, ...]


@dataclass(frozen=True)
class Page:
    """A composed Home page.

    Args:
        rows: the shelves from top to bottom.
        layout: the drawn layout, its alternatives and its propensity.
        policy: name of the layout policy.
        policy_version: its version.
    """

    rows: tuple[Row, ...]
    layout: LayoutRecord
    policy: str
    policy_version: str

    @property
    def layout_propensity(self) -> float:
        """The chance with which the policy drew this layout among all layouts."""
        return self.layout.propensity

    @property
    def items(self) -> list[Placed]:
        """All placed items in reading order."""
        return [item for row in self.rows for item in row.items]
