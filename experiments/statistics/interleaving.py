"""Team-draft interleaving: one list of two rankers, so that each listener compares them.

Radlinski, Kurup and Joachims 2008, "How Does Clickthrough Data Reflect Retrieval Quality?". In each round a coin says
which ranker picks first; each picks its best item that the list does not have. What is played counts for the ranker
that picked it. It says which ranker is preferred, with far fewer listeners than an A/B test, but not by how much a
metric of the business moves: Netflix prunes rankers with it before an A/B test.
"""

from collections.abc import Sequence

import numpy as np

from experiments.statistics.effects import Effect, Estimate

A, B = 0, 1


def team_draft(first: Sequence, second: Sequence, k: int, rng: np.random.Generator) -> tuple[list, list[int]]:
    """Return a list of up to `k` items, and the team of each: `A` of the first ranker, `B` of the second.

    Args:
        first, second: The rankers' items, best first.
        k: Length of the list.
        rng: The coins.
    """
    lists = (iter(first), iter(second))
    items: list = []
    teams: list[int] = []
    taken = set()
    while len(items) < k:
        before = len(items)
        leader = int(rng.integers(2))
        for team in (leader, 1 - leader):
            item = next((each for each in lists[team] if each not in taken), None)
            if item is not None and len(items) < k:
                items.append(item)
                teams.append(team)
                taken.add(item)
        if len(items) == before:
            break
    return items, teams


def preference(wins_first: np.ndarray, wins_second: np.ndarray) -> Effect:
    """Return the preference for the second ranker, from what each listener played of both teams, both `[listeners]`.

    The estimates are the teams' mean plays for each listener. Both come from the same listeners, so the variance of the
    difference is that of the paired difference; it is carried by the treatment's estimate alone.
    """
    units = len(wins_first)
    paired = float((wins_second - wins_first).var(ddof=1) / units)
    return Effect(Estimate(float(wins_first.mean()), 0.0, units), Estimate(float(wins_second.mean()), paired, units))
