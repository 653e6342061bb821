"""What the log keeps of a drawn layout, so that another policy's chance of the same layout can be computed later."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

PREFIX = "layout"
# What describes a shelf to the layout policy, in the order of the columns of `LayoutRecord.qualities`.
SHELF_FEATURES = ("relevance", "uncertainty", "mix")


@dataclass(frozen=True)
class LayoutRecord:
    """A decision about the layout: what could be chosen, what was drawn, and how likely the draw was.

    Args:
        shelf_ids: the `n` shelves that could be shown, sorted.
        qualities: `SHELF_FEATURES` of each shelf, `[n, 3]`: over its best items, the mean relevance (in standard
            deviations of the pool's reward), the mean uncertainty, and the mean share of the item's content type in the
            context's mix.
        context: `HomeContext.features`, `[4]`.
        drawn: the shelves that were drawn, from top to bottom, as indices of `shelf_ids`.
        fewest: number of rows before which the page could not end.
        most: number of rows at which it had to end.
        chances: the chance of each choice under the policy that drew it, given the choices above, `[rows]`; one more
            where the page ended before it had to.
    """

    shelf_ids: tuple[str, ...]
    qualities: np.ndarray
    context: np.ndarray
    drawn: tuple[int, ...]
    fewest: int
    most: int
    chances: np.ndarray

    @property
    def propensity(self) -> float:
        """The chance of the drawn layout among all layouts: the product of the chances of its choices."""
        return float(self.chances.prod())

    def to_scores(self) -> dict[str, float]:
        """The record as named numbers: it fits the column `scores` of the exposure of the page's first item."""
        rows = {shelf: row for row, shelf in enumerate(self.drawn, 1)}
        scores = {f"{PREFIX}/fewest": float(self.fewest), f"{PREFIX}/most": float(self.most)}
        scores |= {f"{PREFIX}/context/{i:03}": float(value) for i, value in enumerate(self.context)}
        scores |= {f"{PREFIX}/chance/{i:03}": float(chance) for i, chance in enumerate(self.chances)}
        for number, shelf_id in enumerate(self.shelf_ids):
            scores[f"{PREFIX}/shelf/row/{shelf_id}"] = float(rows.get(number, 0))
            for name, value in zip(SHELF_FEATURES, self.qualities[number].tolist(), strict=True):
                scores[f"{PREFIX}/shelf/{name}/{shelf_id}"] = value
        return scores

    @classmethod
    def from_scores(cls, scores: Mapping[str, float]) -> "LayoutRecord | None":
        """The record that `to_scores` wrote among other scores; None if there is none.

        Args:
            scores: the scores of the exposure of a page's first item.
        """
        if f"{PREFIX}/most" not in scores:
            return None
        start = f"{PREFIX}/shelf/row/"
        shelf_ids = tuple(sorted(name.removeprefix(start) for name in scores if name.startswith(start)))
        context, chances = (
            np.array([value for name, value in sorted(scores.items()) if name.startswith(f"{PREFIX}/{part}/")])
            for part in ("context", "chance")
        )
        rows = {number: int(scores[start + shelf_id]) for number, shelf_id in enumerate(shelf_ids)}
        shown = sorted((number for number, row in rows.items() if row), key=lambda number: rows[number])
        qualities = [[scores[f"{PREFIX}/shelf/{name}/{shelf_id}"] for name in SHELF_FEATURES] for shelf_id in shelf_ids]
        return cls(
            shelf_ids=shelf_ids,
            qualities=np.array(qualities).reshape(-1, len(SHELF_FEATURES)),
            context=context,
            drawn=tuple(shown),
            fewest=int(scores[f"{PREFIX}/fewest"]),
            most=int(scores[f"{PREFIX}/most"]),
            chances=chances,
        )
