"""The surface `home`: every source fills shelves, and the layout policy arranges them."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from events.schema import SKIP
from surfaces.candidates import Candidates
from surfaces.engine.context import Context
from surfaces.engine.page import EMPTY, ShownItem, ShownPage, ShownShelf
from surfaces.engine.path import Surface
from surfaces.filters.every import FILTERS
from surfaces.home.arms import home_of
from surfaces.home.calibration import content_mix
from surfaces.home.compose import compose_home
from surfaces.home.context import HomeContext
from surfaces.home.layout import LayoutPolicy
from surfaces.home.page import Page
from surfaces.home.pool import Pool
from surfaces.home.rules import HomeRules
from surfaces.home.shelves import Found, build_shelves
from surfaces.sources.every import SOURCES
from surfaces.sources.source import DAY_SECONDS

# Of each source's list, the items that are ranked: each costs time. Of the items that pages of the demo world show
# without this bound, 1 % are further down in all lists; with a bound of 60, shelves of one genre run out of items.
LONGEST = 100
EVERY_TYPE = "unknown"  # the content type of a catalogue that names none


def home_surface(policy: LayoutPolicy, rules: HomeRules) -> Surface[ShownPage]:
    """Home under a layout policy.

    Args:
        policy: draws the layout.
        rules: weights and limits.
    """

    def compose(context: Context, candidates: Candidates, scores: Mapping[str, np.ndarray]) -> ShownPage:
        rows = context.request.rows
        layout, limits, exploration = home_of(policy, rules, context.request.exploration, context.arms.parameters)
        if rows:
            limits = replace(limits, rows=rows, fewest_rows=min(rows, limits.fewest_rows))
        pool, about = pool_of(context, candidates, scores), replace(home_context(context), exploration=exploration)
        shelves = build_shelves(found(context, candidates), pool, about, limits)
        page = compose_home(about, pool, shelves, layout, limits, context.request.seed("home"))
        return shown(page, pool)

    return Surface("home", SOURCES, FILTERS, compose, EMPTY, LONGEST)


def home_context(context: Context) -> HomeContext:
    """Who asks, and which mix of content types fits now. The hour is in UTC: the log has no time zones."""
    request = context.request
    plays = max(len(context.history), int(context.features.get("user_plays_28d") or 0))
    return HomeContext(request.user_id, request.at, request.at.hour, fitting_mix(context), plays, request.exploration)


def fitting_mix(context: Context) -> dict[str, float]:
    """The share of each content type that fits the listener at the hour of the request; the sum is 1."""
    catalogue = context.catalogue
    types = catalogue.types or (EVERY_TYPE,)
    hours = catalogue.plays_by_hour if catalogue.types and catalogue.plays_by_hour.any() else np.ones((24, len(types)))
    entries = zip(catalogue.content_types[context.history].tolist(), context.actions, strict=True)
    listened = Counter(name for name, action in entries if action != SKIP)
    return content_mix(
        {name: float(listened[name]) for name in types},
        dict(zip(types, hours[context.request.at.hour].tolist(), strict=True)),
        dict(zip(types, hours.sum(axis=0).tolist(), strict=True)),
    )


def pool_of(context: Context, candidates: Candidates, scores: Mapping[str, np.ndarray]) -> Pool:
    """The candidates with what is known about them."""
    catalogue, rows = context.catalogue, candidates.rows
    released = catalogue.release_days[rows].astype(np.float64)
    ages = np.where(released > -1e6, context.request.timestamp / DAY_SECONDS - released, np.inf)
    return Pool(
        item_ids=np.array(candidates.item_ids, str),
        reward=scores["reward"],
        uncertainty=scores.get("uncertainty", np.zeros_like(scores["reward"])),
        creator_id=catalogue.creator_ids[rows],
        content_type=catalogue.content_types[rows],
        genres=catalogue.genres[rows].tolist(),
        vectors=catalogue.genre_vectors[rows],
        age_days=ages,
        sources=candidates.sources,
        scores={**scores, **{f"{model}_score": given for model, given in candidates.scores.items()}},
    )


def found(context: Context, candidates: Candidates) -> list[Found]:
    """The list of each source, with what it is about: the anchor's title, or the market."""
    return [
        Found(
            one.source,
            one.places,
            one.anchor,
            context.catalogue.title(one.anchor) if one.anchor else context.market if one.source == "popular" else "",
        )
        for one in candidates.lists
    ]


def shown(page: Page, pool: Pool) -> ShownPage:
    """A composed page as plain data.

    The scores of the first item of each shelf keep the layout, from which its policy learns: only what was seen is
    collected, and of a shelf that was looked at, the first item was.
    """
    layout = page.layout.to_scores()
    indices = np.array([item.index for row in page.rows for item in row.items], np.intp)
    scores: list[dict[str, float]] = [{} for _ in indices]
    for name, column in pool.scores.items():
        for own, score in zip(scores, column[indices].tolist(), strict=True):
            if math.isfinite(score):
                own[name] = score
    shelves = tuple(
        ShownShelf(
            row.shelf.id,
            row.shelf.title,
            row.shelf.reason,
            tuple(
                ShownItem(
                    item.item_id,
                    item.row,
                    item.column,
                    item.position,
                    item.propensity,
                    item.explored,
                    scores[item.position - 1] | layout if item.column == 1 else scores[item.position - 1],
                    tuple(pool.sources[item.index]),
                )
                for item in row.items
            ),
        )
        for row in page.rows
    )
    return ShownPage(shelves, page.policy, page.policy_version, page.layout_propensity)
