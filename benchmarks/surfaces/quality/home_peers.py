"""What a Home page is compared with. Each peer arranges the very candidates and scores that Home has for a request.

A list is shown as Home shows it: in rows of ten, from the left and from the top.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from benchmarks.surfaces.quality.diversity import mmr
from benchmarks.surfaces.quality.served_pages import Rows, Served
from surfaces.home.page import Shelf, kind_of
from surfaces.home.pool import Pool
from surfaces.home.rules import HomeRules
from surfaces.home.shelves import build_shelves
from surfaces.home.surface import found, home_context, pool_of

FIRST, PER_CREATOR = 20, 2  # x-algorithm: at most 2 items of a creator among the first 20


def pool_and_shelves(served: Served, rules: HomeRules) -> tuple[Pool, list[Shelf]]:
    """The candidates of a request, and the shelves that may be shown."""
    answer = served.answer
    pool = pool_of(answer.context, answer.candidates, answer.scores)
    return pool, build_shelves(found(answer.context, answer.candidates), pool, home_context(answer.context), rules)


def static_shelves(requests: Sequence[Served], rules: HomeRules) -> list[Rows]:
    """Pages with the shelves in one order for everybody, and the items of a shelf by reward.

    It is the best such order that the ranking model knows: kinds of shelves by the mean reward of the items that fit on
    them, over all these requests.
    """
    given = [pool_and_shelves(one, rules) for one in requests]
    rewards: dict[str, list[float]] = defaultdict(list)
    for pool, shelves in given:
        for shelf in shelves:
            rewards[kind_of(shelf.id)].append(np.sort(pool.reward[shelf.items])[-rules.columns :].mean())
    worth = {kind: float(np.mean(of_kind)) for kind, of_kind in rewards.items()}
    pages = []
    for one, (pool, shelves) in zip(requests, given, strict=True):
        rows: list[np.ndarray] = []
        shown = np.zeros(len(pool), bool)
        for shelf in sorted(shelves, key=lambda shelf: (-worth[kind_of(shelf.id)], shelf.id)):
            free = shelf.items[~shown[shelf.items]]
            if len(rows) < rules.rows and len(free) >= rules.fewest_items:
                rows.append(free[np.argsort(-pool.reward[free], kind="stable")][: rules.columns])
                shown[rows[-1]] = True
        pages.append([catalogue_rows(one, row) for row in rows])
    return pages


def popular(served: Served, rules: HomeRules) -> Rows:
    """The items with the most plays in the listener's market that are out by now."""
    context = served.answer.context
    catalogue = context.catalogue
    ranked = catalogue.popular(context.market)
    out = catalogue.release_days[ranked] <= context.request.timestamp // 86_400
    return in_rows(ranked[out].tolist(), rules)


def mmr_alone(served: Served, rules: HomeRules) -> Rows:
    """The candidates by reward and difference from the items before, with Home's weight."""
    pool, _ = pool_and_shelves(served, rules)
    chosen = mmr(pool.relevance, pool.directions, rules.diversity, min(rules.rows * rules.columns, len(pool)))
    return in_rows(catalogue_rows(served, np.array(chosen)), rules)


def creator_cap(served: Served, rules: HomeRules) -> Rows:
    """The candidates by reward under the rule of x-algorithm.

    At most two items of a creator stand among the first 20, and neighbours differ: there in their semantic ids, here in
    their genres. An item that breaks the rule waits until it does not.
    """
    pool, _ = pool_and_shelves(served, rules)
    waiting = np.argsort(-pool.reward, kind="stable").tolist()
    chosen: list[int] = []
    counts: dict[int, int] = defaultdict(int)
    while waiting and len(chosen) < rules.rows * rules.columns:
        able = (
            i
            for i in waiting
            if (len(chosen) >= FIRST or counts[pool.creators[i]] < PER_CREATOR)
            and (not chosen or set(pool.genres[i]) != set(pool.genres[chosen[-1]]))
        )
        best = next(able, waiting[0])
        chosen.append(best)
        waiting.remove(best)
        counts[pool.creators[best]] += 1
    return in_rows(catalogue_rows(served, np.array(chosen)), rules)


def catalogue_rows(served: Served, chosen: np.ndarray) -> list[int]:
    """The rows of the catalogue of some candidates."""
    return served.answer.candidates.rows[chosen].tolist()


def in_rows(items: list[int], rules: HomeRules) -> Rows:
    """A list as the rows of a page."""
    shown = items[: rules.rows * rules.columns]
    return [shown[start : start + rules.columns] for start in range(0, len(shown), rules.columns)]
