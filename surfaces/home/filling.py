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
        names = sorted({*self.context.content_mix, *self.pool.content_type.tolist()})
        self.mix = np.array([self.context.content_mix.get(name, 0.0) for name in names])  # [types]
        self.types = np.searchsorted(names, self.pool.content_type)  # [n]
        self.type_counts = np.zeros(len(names))
        self.creator_counts = np.zeros(self.pool.creators.max(initial=0) + 1, int)
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
        earned = self.context.exploration.places(sum(map(len, self.placed)))
        draws_left = earned - sum(place.explored for row in self.placed for place in row)
        directions, creators = self.pool.directions[members], self.pool.creators[members]  # [m, d], [m]
        value, types = self.pool.relevance[members], self.types[members]  # [m]
        likeness = np.zeros(len(members))  # of each member to the items on the shelf: the largest cosine
        row: list[Placed] = []
        self.placed.append(row)
        while len(row) < self.rules.columns:
            allowed = self.allowed(members, creators)
            if len(row) == self.rules.visible:
                ready = ~self.waiting()[members]
            if len(row) >= self.rules.visible and (allowed & ready).any():
                allowed &= ready
            if not allowed.any():
                break
            is_drawn = draws_left > 0 and len(row) >= self.rules.columns // 2
            if is_drawn:
                number, propensity = self.draw(members, allowed)
                draws_left -= 1
            else:
                costs = excess(self.mix, self.type_counts)[types]
                total = value - self.rules.diversity * likeness - self.rules.calibration * costs
                number, propensity = int(np.where(allowed, total, -np.inf).argmax()), 1.0
            self.place(int(members[number]), propensity, is_drawn)
            np.maximum(likeness, directions @ directions[number], out=likeness)
        if len(row) >= self.rules.fewest_items:
            return True
        self.placed.pop()
        self.is_free, self.creator_counts, self.type_counts = before
        return False

    def allowed(self, members: np.ndarray, creators: np.ndarray) -> np.ndarray:
        """Which members may stand at the next place, bool `[m]`: no item twice, no neighbours of one creator.

        Args:
            members: as `add_row`.
            creators: numbers of their creators, `[m]`.
        """
        allowed = self.is_free[members]
        *above, row = self.placed
        neighbours = [row[-1]] if row else []
        if above and len(row) < len(above[-1]):
            neighbours.append(above[-1][len(row)])
        for neighbour in neighbours:
            allowed &= creators != self.pool.creators[neighbour.index]
        return allowed

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

    def draw(self, members: np.ndarray, allowed: np.ndarray) -> tuple[int, float]:
        """Draw one of the most promising items by a softmax over optimistic rewards.

        Optimism in the face of uncertainty decides who competes (Auer, JMLR 2002); the draw gives each contender a
        chance that is known exactly.

        Args:
            members: as `add_row`.
            allowed: which of them may stand there, bool `[m]`, at least one.

        Returns:
            The number of the member, and its chance.
        """
        able = np.flatnonzero(allowed)
        contenders = able[np.argsort(-self.optimistic[members[able]], kind="stable")[: self.rules.contenders]]
        weights = self.optimistic[members[contenders]] / self.rules.draw_temperature
        chances = np.exp(weights - weights.max())
        drawn = int((weights + self.rng.gumbel(size=len(weights))).argmax())  # a draw from their softmax (Gumbel, 1954)
        return int(contenders[drawn]), float(chances[drawn] / chances.sum())

    def place(self, chosen: int, propensity: float, is_drawn: bool) -> None:
        """Give an item the next place. From then on it is not free, nor is a creator who has the most items.

        Args:
            chosen: the item's row of the pool.
            propensity: its chance at this place.
            is_drawn: whether it was drawn.
        """
        row, position = self.placed[-1], sum(map(len, self.placed)) + 1
        item_id = str(self.pool.item_ids[chosen])
        row.append(Placed(chosen, item_id, len(self.placed), len(row) + 1, position, propensity, is_drawn))
        self.is_free[chosen] = False
        self.type_counts[self.types[chosen]] += 1
        creator = self.pool.creators[chosen]
        self.creator_counts[creator] += 1
        if self.creator_counts[creator] >= self.rules.per_creator:
            self.is_free[self.pool.creators == creator] = False
