"""Compose a Home page: draw the layout, then fill its shelves."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segue.errors import InputError
from surfaces.home.calibration import SMOOTHING
from surfaces.home.context import HomeContext
from surfaces.home.filling import Filling
from surfaces.home.layout import NAME, LayoutPolicy
from surfaces.home.page import Page, Row, Shelf
from surfaces.home.pool import Pool, places
from surfaces.home.rules import HomeRules


def compose_home(
    context: HomeContext, pool: Pool, shelves: Sequence[Shelf], policy: LayoutPolicy, rules: HomeRules, seed: int
) -> Page:
    """The Home page of a request. The same arguments give the same page, whatever the order of pool and shelves.

    Args:
        context: who asks, and when.
        pool: the candidates of all shelves.
        shelves: the shelves that may be shown. Those with fewer than `rules.fewest_items` items are left out.
        policy: draws the layout.
        rules: weights and limits.
        seed: of all draws, from 0; the same for the same request id.

    Raises:
        InputError: two shelves have the same id.
    """
    if len({shelf.id for shelf in shelves}) < len(shelves):
        raise InputError(
            "Each shelf of a page has an id of its own. Received an id twice.",
            "Add to the id what the shelf is about, e.g. `because_you_listened:i00042`.",
        )
    fit = np.array([context.content_mix.get(name, 0.0) for name in pool.content_type.tolist()])  # [n]
    pool = fitting(pool, fit, rules.fit)
    offered = sorted((shelf for shelf in shelves if len(shelf.items) >= rules.fewest_items), key=lambda shelf: shelf.id)
    place = places(pool.best_first)  # [n]
    members = [shelf.items[place[shelf.items].argsort()] for shelf in offered]  # best first
    qualities = np.array([quality(pool, fit, rows, rules.columns) for rows in members]).reshape(-1, 3)
    rng = np.random.Generator(np.random.PCG64(seed))
    layout = policy.draw(
        tuple(shelf.id for shelf in offered), qualities, context.features, rules.fewest_rows, rules.rows, rng
    )
    filling = Filling(pool, context, rules, rng)
    shown = [offered[number] for number in layout.drawn if filling.add_row(members[number])]
    rows = tuple(Row(shelf, tuple(placed)) for shelf, placed in zip(shown, filling.placed, strict=True))
    return Page(rows, layout, NAME, str(policy.version))


def fitting(pool: Pool, fit: np.ndarray, weight: float) -> Pool:
    """The candidates with a reward that knows how well each content type fits the listener at this hour.

    The ranking model judges an item for the listener, and knows little of which type the listener plays at which hour.
    The share says that directly. It is evidence of its own, and evidence adds up as logarithms (naive Bayes).

    Args:
        pool: the candidates.
        fit: share of the item's content type in the context's mix, `[n]`.
        weight: standard deviations of the reward for a share that is e times as large.
    """
    return replace(pool, reward=pool.reward + weight * pool.spread * np.log(fit + SMOOTHING))


def quality(pool: Pool, fit: np.ndarray, members: np.ndarray, columns: int) -> list[float]:
    """`SHELF_FEATURES` of a shelf: means over the best items that fit on it.

    Args:
        pool: the candidates.
        fit: share of the item's content type in the context's mix, `[n]`.
        members: the shelf's rows of the pool, best first, `[m]`.
        columns: how many items fit.
    """
    best = members[:columns]
    return [float(np.add.reduce(column[best]) / len(best)) for column in (pool.relevance, pool.uncertainty, fit)]
