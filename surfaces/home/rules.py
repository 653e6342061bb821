"""The weights and limits of a Home page, as configuration."""

import math
from dataclasses import dataclass

from segue.errors import InputError


@dataclass(frozen=True)
class HomeRules:
    """The knobs of a Home page. Weights are in standard deviations of the pool's reward.

    Args:
        rows: the most shelves of a page.
        fewest_rows: the number of shelves before which the layout policy may not end a page.
        columns: the most items of a shelf.
        visible: how many columns the screen shows; the others need a swipe. The best items wait for visible places.
        fewest_items: a shelf with fewer items is not shown.
        per_creator: the most items of one creator on a page.
        diversity: how much an item loses that is wholly like an item before it on its shelf.
        fit: how much the share of an item's content type in the context's mix counts: 0.5 is half a standard deviation
            for a share that is e times as large.
        calibration: how strongly the page is drawn to the context's mix of content types.
        contenders: how many items compete for an explored place.
        draw_temperature: how evenly they are drawn: small values prefer the most promising.

    Raises:
        InputError: a knob lies outside its range.
    """

    rows: int = 7
    fewest_rows: int = 3
    columns: int = 10
    visible: int = 4
    fewest_items: int = 3
    per_creator: int = 7
    diversity: float = 0.1
    fit: float = 0.5
    calibration: float = 1.25
    contenders: int = 20
    draw_temperature: float = 0.5

    def __post_init__(self) -> None:
        for name in ("rows", "fewest_rows", "columns", "visible", "fewest_items", "per_creator", "contenders"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}` is at least 1. Received {getattr(self, name)}.", "Give 1 or more.")
        for name in ("diversity", "fit", "calibration"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(
                    f"`{name}` is a number of at least 0. Received {getattr(self, name)}.", "Give 0 to switch it off."
                )
        if self.columns < self.fewest_items:
            raise InputError(
                f"`columns` is at least `fewest_items`, or no shelf is shown. Received {self.columns} columns and "
                f"{self.fewest_items} items.",
                "Raise the columns, or lower the fewest items.",
            )
        if not 0 < self.draw_temperature < math.inf:
            raise InputError(f"`draw_temperature` is above 0. Received {self.draw_temperature}.", "Give e.g. 0.5.")
