"""The true value of pages and of page policies in a world of version 2, against which estimates and models are judged.

The expected outcomes of a page are exact: they sum over the moods that the session may have and over the ways of
looking at the page (`attention.chances`), so comparing two pages needs no simulation. The value of a policy is the mean
over contexts drawn from the world. Policies that are compared see the same contexts, so their difference has little
noise. Both hold under drift, because they take the day's tastes and behaviour.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from events import schema
from events.world.live import attention, sessions
from events.world.live.moods import MOODS, mood_chances
from events.world.live.outcomes import Today, add_chance, hour_of, like_chance
from events.world.live.pages import Pages
from events.world.live.world import World

Rows = Sequence[Sequence[int]]  # of a page: the items of each row

PLAY_REWARD = {"play": 1.0}  # the expected number of items played through


@dataclass(frozen=True)
class Expected:
    """The probability of each outcome of each slot, as `[pages, slots]` arrays named after `schema.HEADS`.

    Args:
        examined: The listener looks at the slot.
        play: They play the item for at least 30 s.
        complete: They play at least 90 % of it.
        skip: They look at it and do not play it on.
        like, add: They like or add it.
    """

    examined: np.ndarray
    play: np.ndarray
    complete: np.ndarray
    skip: np.ndarray
    like: np.ndarray
    add: np.ndarray

    def reward(self, weights: Mapping[str, float]) -> np.ndarray:
        """Return the weighted sum of the expected outcomes of each page `[pages]`, e.g. with the ranking's reward."""
        return sum(weight * getattr(self, name).sum(axis=1) for name, weight in weights.items())


@dataclass(frozen=True)
class Context:
    """A moment at which a page is wanted: the day, the listener, the time in microseconds from the start of the first
    day, and the surface, a position in `schema.SURFACES`."""

    day: int
    user: int
    at: int
    surface: int


def expected(today: Today, pages: Pages, mood: np.ndarray | None = None) -> Expected:
    """Return the exact probabilities of the outcomes of pages.

    Args:
        today: The world on the day.
        pages: The pages.
        mood: Moods of the sessions `[pages]`. None averages over the moods that the listeners may have at that hour,
            which is all that a policy can know at the start of a session.
    """
    if mood is not None:
        return expected_in_mood(today, pages, mood)
    shares = mood_chances(today.listeners.moods[pages.user], hour_of(pages.at))  # [pages, moods]
    by_mood = [expected_in_mood(today, pages, np.full(len(pages.user), code)) for code in range(len(MOODS))]
    return Expected(*(
        sum(shares[:, [code]] * getattr(part, field.name) for code, part in enumerate(by_mood))
        for field in fields(Expected)
    ))  # fmt: skip


def expected_in_mood(today: Today, pages: Pages, mood: np.ndarray) -> Expected:
    """Return the exact probabilities of the outcomes of pages in sessions of known moods `[pages]`."""
    liking = today.liking(pages.user, hour_of(pages.at), mood, pages.item)
    chance = np.where(pages.shown, today.play_chance(liking), 0.0)
    examined = attention.chances(pages.surface, pages.column, pages.shown, chance)
    played = examined * chance
    duration = today.policy.shelves.catalogue.duration_ms[pages.item]
    return Expected(
        examined=examined,
        play=played * today.long_enough(pages.item, schema.PLAY_THROUGH_MS),
        complete=played * today.long_enough(pages.item, schema.COMPLETE_SHARE * duration),
        skip=examined - played,
        like=played * like_chance(liking),
        add=played * add_chance(liking),
    )


def best(today: Today, pages: Pages, mood: np.ndarray | None = None) -> Pages:
    """Return pages of the same rows with what their listeners play through most: the page of an oracle.

    The items are in the order of the probability that a look ends in a play of 30 s. That is not always optimal, as a
    play lowers the chance of further looks; in tests an exchange of two items gained less than 1 %. Slots without an
    item left are empty.

    Args:
        today: The world on the day.
        pages: The pages, whose items are replaced.
        mood: Moods of the sessions `[pages]`; None for an oracle that knows the listeners, but no session's mood.
    """
    released = today.policy.shelves.released
    hour, item = hour_of(pages.at), np.broadcast_to(released, (len(pages.user), len(released)))

    def play_through(moods: np.ndarray) -> np.ndarray:
        return today.play_chance(today.liking(pages.user, hour, moods, item))

    if mood is None:
        shares = mood_chances(today.listeners.moods[pages.user], hour)  # [pages, moods]
        by_mood = (shares[:, [code]] * play_through(np.full(len(item), code)) for code in range(len(MOODS)))
        chance = sum(by_mood, np.zeros(item.shape))
    else:
        chance = play_through(mood)
    chance = chance * today.long_enough(item, schema.PLAY_THROUGH_MS)
    ranked = released[np.argsort(-chance, axis=1, kind="stable")]  # [pages, released]
    short = max(pages.item.shape[1] - ranked.shape[1], 0)
    ranked = np.pad(ranked, ((0, 0), (0, short)), constant_values=-1)[:, : pages.item.shape[1]]
    return replace(pages, item=np.where(pages.shown, ranked, -1))


def contexts(world: World, days: Iterable[int], surface: int, count: int, seed: int) -> list[Context]:
    """Draw contexts in which a session begins on a surface, as often as the world's listeners begin one there.

    Args:
        world: The world.
        days: Days, counted from 0. All of them are drawn whole, and drawn again until there are enough contexts.
        surface: Position in `schema.SURFACES`.
        count: Number of contexts. They are a sample of those that were drawn, so each day and hour has its share.
        seed: Seed of the contexts. It may differ from the world's, whose own sessions it gives otherwise.

    Returns:
        Contexts `[count]`, in the order in which they were drawn.
    """
    drawn: list[Context] = []
    days, turn = list(days), 0
    while len(drawn) < count:
        for day in days:
            found = sessions.sessions(seed + turn, day, world.population, world.listener_traits)
            rows = np.flatnonzero(found.surface == surface)
            drawn += [Context(day, int(found.user[n]), int(found.began[n]), surface) for n in rows]
        turn += 1
    chosen = np.random.default_rng(seed).choice(len(drawn), count, replace=False)
    return [drawn[n] for n in np.sort(chosen).tolist()]


def policy_values(
    world: World,
    moments: Sequence[Context],
    policy: Callable[[Context], Rows],
    weights: Mapping[str, float] = PLAY_REWARD,
) -> np.ndarray:
    """Return the exact expected reward of the page that a policy shows in each context `[contexts]`.

    Their mean estimates the value of the policy. Two policies are compared by the differences of their values in the
    same contexts.

    Args:
        world: The world.
        moments: The contexts, from `contexts`.
        policy: Returns the rows of items for a context.
        weights: Weight of each outcome of `Expected` in the reward.
    """
    values = np.zeros(len(moments))
    for day in sorted({moment.day for moment in moments}):
        rows = [n for n, moment in enumerate(moments) if moment.day == day]
        user, at, surface = np.array([(moments[n].user, moments[n].at, moments[n].surface) for n in rows]).T
        pages = Pages.of(user, at, surface, [policy(moments[n]) for n in rows])
        values[rows] = expected(world.day(day), pages).reward(weights)
    return values
