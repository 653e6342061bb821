"""The figures of a simulated day: what its pages were truly worth, and what they were made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from events.world import names
from events.world.day import DAY, HOME
from events.world.live.moods import content_mix
from events.world.live.outcomes import Today, hour_of
from events.world.live.pages import Pages
from events.world.live.value import PLAY_REWARD, best, expected
from events.world.live.world import World
from workloads.simulation.day import Moment, instant

SMOOTHING = 0.01  # of a page's mix by the listener's, as in Steck, "Calibrated Recommendations" (2018)
NEW_DAYS = 14


def figures(world: World, day: int, moments: Sequence[Moment]) -> dict[str, Any]:
    """Return the figures of a day.

    Args:
        world: The world.
        day: The day, counted from 0.
        moments: What happened, from `replayed`.

    Returns:
        `day`, `date`, `sessions`, `pages`, `listeners`, and means over pages: `reward`, the exact expected number of
        items played through; `popular_reward` and `best_reward`, the same for pages of the same rows that hold the most
        popular items, or the items that the listener plays through most; `plays`, the number that was drawn;
        `calibration_kl`, the KL divergence of Home's mix of content types from what the listener wants at that hour;
        `explored` and `new`, shares of the items; `fallback`, the share of pages that models did not decide as usual;
        `versions`, the newest model versions. None stands for a mean of nothing.
    """
    today = world.day(day)
    values = [rewards(today, moment) for moment in moments]
    items = np.concatenate([moment.page.item[0] for moment in moments]) if moments else np.zeros(0, int)
    flags = [flag for moment in moments for row in moment.shown.explored for flag in row]
    distances = [
        kl
        for moment in moments
        if moment.visit.surface == HOME and (kl := calibration(world, today, moment)) is not None
    ]
    age = day - world.items.release[items]
    return {
        "day": day,
        "date": instant(day * DAY).date().isoformat(),
        "sessions": len({moment.visit.session for moment in moments}),
        "listeners": len({moment.visit.user for moment in moments}),
        "pages": len(moments),
        "reward": mean([value[0] for value in values]),
        "popular_reward": mean([value[1] for value in values]),
        "best_reward": mean([value[2] for value in values]),
        "plays": mean([moment.responses.played.sum() for moment in moments]),
        "calibration_kl": mean(distances),
        "explored": mean(flags),
        "new": mean(age < NEW_DAYS),
        "fallback": mean([moment.shown.level > 0 for moment in moments]),
        "versions": dict(moments[-1].shown.versions) if moments else {},
    }


def rewards(today: Today, moment: Moment) -> tuple[float, float, float]:
    """Return the exact reward of a page, of the popular page and of the best page of the same rows.

    The mood is that of the session, which the best page is told and a gateway has to guess.
    """
    shown = moment.page
    count, mood = shown.item.shape[1], np.array([moment.visit.mood])
    if not count:
        return 0.0, 0.0, 0.0
    released = today.policy.shelves.released
    popular = released[np.argsort(-today.policy.shelves.popularity[released], kind="stable")[:count]]
    count = len(popular)
    of_popular = Pages(
        shown.user, shown.at, shown.surface, popular[None], shown.row[:, :count], shown.column[:, :count]
    )
    pages = shown, of_popular, best(today, shown, mood)
    served, by_popularity, by_oracle = (float(expected(today, page, mood).reward(PLAY_REWARD)[0]) for page in pages)
    return served, by_popularity, by_oracle


def calibration(world: World, today: Today, moment: Moment) -> float | None:
    """Return the KL divergence of a page's content types from what the listener wants then; None of an empty page."""
    user = np.array([moment.visit.user])
    tastes, strength = today.policy.tastes.content_types[user], world.listener_traits.hour_strength[user]
    wanted = content_mix(tastes, strength, hour_of(np.array([moment.visit.at])))[0]
    types = world.items.content_type[moment.page.item[0]]
    if not len(types):
        return None
    shown = np.bincount(types, minlength=len(names.CONTENT_TYPES)) / len(types)
    smoothed = (1 - SMOOTHING) * shown + SMOOTHING * wanted
    return float((wanted * np.log(wanted / smoothed)).sum())


def mean(values: Sequence[float] | np.ndarray) -> float | None:
    """Return the mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None
