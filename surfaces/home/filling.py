"""Fill the shelves of a page with items, from top to bottom and from left to right.

A place depends on the places before it and on nothing else. So the chance of a drawn item is exact given those places.
"""

from dataclasses import dataclass, field

import numpy as np

from surfaces.home.calibration import excess
from surfaces.home.context import HomeContext
from surfaces.home.page import Placed
from surfaces.home.pool import Pool
from surfaces.home.rules import HomeRules


@dataclass
class Filling:
    """The state of a page that is being filled.

    Args:
        pool: the candidates.
        context: of the request.
        rules: weights and limits.
        rng: draws the explored items.
    """

    pool: Pool
    context: HomeContext
    rules: HomeRules
    rng: np.random.Generator
    placed: list[list[Placed]] = field(default_factory=list)  # by row

    def __post_init__(self) -> None:
        content_types = self.pool.content_type.tolist()
        names = sorted({*self.context.content_mix, *content_types})
        numbers = {name: number for number, name in enumerate(names)}
        self.mix = [self.context.content_mix.get(name, 0.0) for name in names]  # [types]
        self.types = np.array([numbers[name] for name in content_types], np.intp)  # [n]
        self.type_counts = [0.0] * len(names)
        self.creator_counts = [0] * (self.pool.creators.max(initial=0) + 1)
        self.is_free = np.ones(len(self.pool), bool)
        self.optimistic = (
            self.pool.relevance + self.context.exploration.bonus / self.pool.spread * self.pool.uncertainty
        )  # [n]

    def add_row(self, members: np.ndarray) -> bool:
        """Fill the next shelf; return False and leave the page as it was if too few items may stand on it.

        Args:
            members: rows of the pool that may stand on the shelf, sorted by item id, so that ties are always broken in
                the same way, `[m]`.
        """
        before = self.is_free.copy(), self.creator_counts.copy(), self.type_counts.copy()
        count = sum(map(len, self.placed))
        draws_left = self.context.exploration.places(count)
        draws_left -= sum(place.explored for row in self.placed for place in row)
        directions, creators = self.pool.directions[members], self.pool.creators[members]  # [m, d], [m]
        alike, types = self.rules.diversity * directions, self.types[members]  # [m, d], [m]
        value = self.pool.relevance[members]  # [m]
        left = np.where(self.is_free[members], value, -np.inf)  # less what each member is like an item on the shelf
        row: list[Placed] = []
        self.placed.append(row)
        while len(row) < self.rules.columns:
            costs = np.array([self.rules.calibration * cost for cost in excess(self.mix, self.type_counts)])
            worth = left - costs[types]
            for creator in self.neighbours():
                worth[creators == creator] = -np.inf
            if len(row) == self.rules.visible:
                waits = self.waiting()[members]
            if len(row) >= self.rules.visible and (worth[~waits] > -np.inf).any():
                worth[waits] = -np.inf
            number, propensity = int(worth.argmax()), 1.0
            if worth[number] == -np.inf:
                break
            is_drawn = draws_left > 0 and len(row) >= self.rules.columns // 2
            if is_drawn:
                number, propensity = self.draw(members, np.flatnonzero(worth > -np.inf))
                draws_left -= 1
            left[number] = -np.inf
            if self.place(int(members[number]), count + len(row) + 1, propensity, is_drawn):
                left[creators == creators[number]] = -np.inf
            np.minimum(left, value - alike @ directions[number], out=left)
        if len(row) >= self.rules.fewest_items:
            return True
        self.placed.pop()
        self.is_free, self.creator_counts, self.type_counts = before
        return False

    def neighbours(self) -> list[int]:
        """The creators, as numbers, of the items to the left of the next place and above it."""
        *above, row = self.placed
        items = row[-1:]
        if above and len(row) < len(above[-1]):
            items = [*items, above[-1][len(row)]]
        return [int(self.pool.creators[item.index]) for item in items]

    def waiting(self) -> np.ndarray:
        """The best free items, as many as there may be visible places in the rows below: bool `[n]`.

        Behind the edge of the screen few listeners would see them. A row asks for nothing below it, so what it shows
        depends on the rows above alone, as the estimates of layouts need.
        """
        below = self.rules.visible * (self.rules.rows - len(self.placed))
        best = np.lexsort((self.pool.order, -self.pool.relevance, ~self.is_free))[: max(below, 0)]
        waiting = np.zeros(len(self.pool), bool)
        waiting[best] = True
        return waiting

    def draw(self, members: np.ndarray, able: np.ndarray) -> tuple[int, float]:
        """Draw one of the most promising items by a softmax over optimistic rewards.

        Optimism in the face of uncertainty decides who competes (Auer, JMLR 2002); the draw gives each contender a
        chance that is known exactly.

        Args:
            members: as `add_row`.
            able: numbers of those that may stand there, `[a]`, at least one.

        Returns:
            The number of the member, and its chance.
        """
        contenders = able[np.argsort(-self.optimistic[members[able]], kind="stable")[: self.rules.contenders]]
        weights = self.optimistic[members[contenders]] / self.rules.draw_temperature
        chances = np.exp(weights - weights.max())
        drawn = int((weights + self.rng.gumbel(size=len(weights))).argmax())  # a draw from their softmax (Gumbel, 1954)
        return int(contenders[drawn]), float(chances[drawn] / chances.sum())

    def place(self, chosen: int, position: int, propensity: float, is_drawn: bool) -> bool:
        """Give an item the next place; return whether its creator has the most items now, and so no other free ones.

        Args:
            chosen: the item's row of the pool.
            position: the place on the page, from 1.
            propensity: its chance at this place.
            is_drawn: whether it was drawn.
        """
        row = self.placed[-1]
        item_id = str(self.pool.item_ids[chosen])
        row.append(Placed(chosen, item_id, len(self.placed), len(row) + 1, position, propensity, is_drawn))
        self.is_free[chosen] = False
        self.type_counts[self.types[chosen]] += 1
        creator = self.pool.creators[chosen]
        self.creator_counts[creator] += 1
        is_full = bool(self.creator_counts[creator] >= self.rules.per_creator)
        if is_full:
            self.is_free[self.pool.creators == creator] = False
        return is_full
