"""A page as it is shown, whatever surface composed it: plain data that can be sent, logged and kept."""

from dataclasses import dataclass, replace
from typing import NamedTuple

NO_SCORES: dict[str, float] = {}


class ShownItem(NamedTuple):
    """An item at its place.

    Args:
        item_id: the item.
        row, column: the place on the page, from 1.
        position: the place in the reading order of the page, from 1.
        propensity: the chance of this item at this place, given the layout; 1 if nothing was drawn.
        explored: whether the item was drawn within the budget of exploration.
        scores: outputs of the ranking model, and `<model>_score` of each model that found the item.
        sources: the names of the sources that found the item.
    """

    item_id: str
    row: int
    column: int
    position: int
    propensity: float = 1.0
    explored: bool = False
    scores: dict[str, float] = NO_SCORES
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShownShelf:
    """A shelf with at least one item. A page of one list has one shelf, whose id, title and reason may be ''."""

    id: str
    title: str
    reason: str
    items: tuple[ShownItem, ...]


@dataclass(frozen=True)
class ShownPage:
    """A page, and by which policy it was made.

    Args:
        shelves: from top to bottom.
        policy, policy_version: what decided.
        layout_propensity: the chance of this layout; 1 if nothing was drawn.
        level: degradation: 0 whole, 1 without ranking, 2 the listener's last page, 3 popular items.
    """

    shelves: tuple[ShownShelf, ...]
    policy: str
    policy_version: str
    layout_propensity: float = 1.0
    level: int = 0

    @property
    def items(self) -> list[ShownItem]:
        """All items in reading order."""
        return [item for shelf in self.shelves for item in shelf.items]

    def degraded_to(self, level: int) -> "ShownPage":
        """The page as a fallback: of a policy of its own, so that training and estimates leave it out."""
        shelves = tuple(
            replace(shelf, items=tuple(item._replace(propensity=1.0, explored=False) for item in shelf.items))
            for shelf in self.shelves
        )
        return ShownPage(shelves, f"fallback-{level}", "1", 1.0, level)


EMPTY = ShownPage((), "none", "1")


def one_list(items: list[ShownItem], policy: str, title: str = "", reason: str = "", shelf: str = "") -> ShownPage:
    """A page of one list; empty without items."""
    return ShownPage((ShownShelf(shelf, title, reason, tuple(items)),) if items else (), policy, "1")
