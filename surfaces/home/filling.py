"""Fill the shelves of a page with items, from top to bottom and from left to right.

A place depends on the places before it and on nothing else. So the chance of a drawn item is exact given those places.
A place looks at a handful of items, so plain numbers are faster than arrays.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from surfaces.home.calibration import excess
from surfaces.home.context import HomeContext
from surfaces.home.page import Placed
from surfaces.home.pool import Pool
from surfaces.home.rules import HomeRules

NO_ITEM = -1


@dataclass
class Filling:
    """The state of a page that is being filled. Items are rows of the pool.

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
        self.types = [numbers[name] for name in content_types]  # [n]
        self.type_counts = [0.0] * len(names)
        self.creators = self.pool.creators.tolist()  # [n]
        self.creator_counts: defaultdict[int, int] = defaultdict(int)
        self.relevance = self.pool.relevance.tolist()  # [n]
        self.best_first = self.pool.best_first.tolist()  # [n]
        self.alike = self.rules.diversity * self.pool.directions  # [n, d]
        self.item_ids = self.pool.item_ids.tolist()
        self.is_free = [True] * len(self.pool)
        self.optimistic = (
            self.pool.relevance + self.context.exploration.bonus / self.pool.spread * self.pool.uncertainty
        )  # [n]
        best_first = self.pool.best_first
        self.most_promising = best_first[(-self.optimistic[best_first]).argsort(kind="stable")].tolist()  # [n]

    def add_row(self, members: np.ndarray) -> bool:
        """Fill the next shelf; return False and leave the page as it was if too few items may stand on it.

        Args:
            members: the items that may stand on the shelf, best first, `[m]`.
        """
        before = self.is_free.copy(), self.creator_counts.copy(), self.type_counts.copy()
        count = sum(map(len, self.placed))
        draws_left = self.context.exploration.places(count)
        draws_left -= sum(place.explored for row in self.placed for place in row)
        likeness = np.zeros(len(self.pool))  # [n]; to the most alike item on the shelf, times `diversity`
        losses = likeness.data  # gives plain numbers, and only those that are asked for
        items, waiting = [item for item in members.tolist() if self.is_free[item]], frozenset[int]()
        above: list[Placed] = self.placed[-1] if self.placed else []
        row: list[Placed] = []
        self.placed.append(row)
        while len(row) < self.rules.columns:
            if row:
                np.maximum(likeness, self.alike @ self.pool.directions[row[-1].index], out=likeness)
            if len(row) == self.rules.visible:
                waiting = self.waiting()
            neighbours = [self.creators[place.index] for place in (*row[-1:], *above[len(row) : len(row) + 1])]
            is_drawn = draws_left > 0 and len(row) >= self.rules.columns // 2
            choose = self.draw if is_drawn else self.best
            chosen, propensity = choose(items, losses, neighbours, waiting)
            if chosen == NO_ITEM:  # only those that wait are left
                chosen, propensity = choose(items, losses, neighbours, ())
            if chosen == NO_ITEM:
                break
            draws_left -= is_drawn
            self.place(chosen, count + len(row) + 1, propensity, is_drawn)
        if len(row) >= self.rules.fewest_items:
            return True
        self.placed.pop()
        self.is_free, self.creator_counts, self.type_counts = before
        return False

    def waiting(self) -> frozenset[int]:
        """The best free items, as many as there may be visible places in the rows below.

        Behind the edge of the screen few listeners would see them. A row asks for nothing below it, so what it shows
        depends on the rows above alone, as the estimates of layouts need.
        """
        below = self.rules.visible * (self.rules.rows - len(self.placed))
        return frozenset(islice((item for item in self.best_first if self.is_free[item]), max(below, 0)))

    def best(
        self, items: list[int], losses: Sequence[float], neighbours: list[int], waiting: Collection[int]
    ) -> tuple[int, float]:
        """The item that is worth most after the cost of its content type, and its chance, which is 1.

        Of equal ones it is the first by id.

        Args:
            items: of the shelf, the most relevant first.
            losses: what each item of the pool loses for an item on the shelf that it is like, `[n]`.
            neighbours: the creators to the left of the place and above it, who may not come again.
            waiting: items that wait for a better place.

        Returns:
            The item and its chance; `NO_ITEM` if none may stand there.
        """
        costs = [self.rules.calibration * cost for cost in excess(self.mix, self.type_counts)]  # [types]
        relevance, types, item_ids = self.relevance, self.types, self.item_ids
        is_free, creators = self.is_free, self.creators
        chosen, most = NO_ITEM, -math.inf
        for item in items:
            value = relevance[item]
            if value < most:  # no later one can be worth more
                break
            if not is_free[item] or creators[item] in neighbours or item in waiting:
                continue
            worth = value - losses[item] - costs[types[item]]
            if worth > most or (worth == most and item_ids[item] < item_ids[chosen]):
                chosen, most = item, worth
        return chosen, 1.0

    def draw(
        self, items: list[int], losses: Sequence[float], neighbours: list[int], waiting: Collection[int]
    ) -> tuple[int, float]:
        """Draw one of the most promising items by a softmax over optimistic rewards.

        Optimism in the face of uncertainty decides who competes (Auer, JMLR 2002); the draw gives each contender a
        chance that is known exactly.

        Args:
            items, losses, neighbours, waiting: as `best`; no item loses anything here.

        Returns:
            The item and its chance; `NO_ITEM` if none may stand there.
        """
        is_free, creators = self.is_free, self.creators
        shelf = set(items).difference(waiting)
        able = (
            item for item in self.most_promising if item in shelf and is_free[item] and creators[item] not in neighbours
        )
        contenders = list(islice(able, self.rules.contenders))
        if not contenders:
            return NO_ITEM, 1.0
        weights = self.optimistic[contenders] / self.rules.draw_temperature
        chances = np.exp(weights - weights.max())
        drawn = int((weights + self.rng.gumbel(size=len(weights))).argmax())  # a draw from their softmax (Gumbel, 1954)
        return contenders[drawn], float(chances[drawn] / chances.sum())

    def place(self, chosen: int, position: int, propensity: float, is_drawn: bool) -> None:
        """Give an item the next place. Once its creator has the most items of a page, the others are no longer free.

        Args:
            chosen: the item.
            position: the place on the page, from 1.
            propensity: its chance at this place.
            is_drawn: whether it was drawn.
        """
        row, item_id = self.placed[-1], self.item_ids[chosen]
        row.append(Placed(chosen, item_id, len(self.placed), len(row) + 1, position, propensity, is_drawn))
        self.is_free[chosen] = False
        self.type_counts[self.types[chosen]] += 1
        creator = self.creators[chosen]
        self.creator_counts[creator] += 1
        if self.creator_counts[creator] >= self.rules.per_creator:
            for item, other in enumerate(self.creators):
                if other == creator:
                    self.is_free[item] = False
