"""What listeners do with the pages that they are shown. The logged world and the simulation draw from here alike.

Every page has its own random stream, keyed by the seed and the number of its request. What a listener does with a page
therefore depends on the page alone, not on other pages or on the order in which a server answers.
"""

from dataclasses import dataclass

import numpy as np

from events import schema
from events.world.behaviour import SECOND, SHORTEST_SKIP_MS
from events.world.config import Stream, generator
from events.world.day import ADD, HOME, LIKE, PATIENCE, PLAY, SKIP
from events.world.live import attention
from events.world.live.outcomes import Today, add_chance, hour_of, like_chance
from events.world.live.pages import Pages

NOW_PLAYING = schema.SURFACES.index("now_playing")
DISLIKE = len(schema.ACTIONS)  # a response that is no action of the log
DISLIKE_CHANCE = 0.5  # of saying so when an item of a disliked creator is looked at
MORE, MORE_AFTER_PLAY = 0.25, 0.5  # chance of another request after a page
TO_NOW_PLAYING, TO_HOME = 0.6, 0.5  # chance of going there for the next page, after a play and without one
PAGE_DRAWS, SLOT_DRAWS = 2, 9


@dataclass(frozen=True)
class Responses:
    """The responses to pages, as `[pages, slots]` arrays; the last three are `[pages]`.

    Args:
        examined: Whether the listener looks at the slot.
        played: Whether the listener plays the item on. An examined item that is not played on is skipped.
        ms: Milliseconds played, of a play or a skip.
        ended: Time at which the play or skip ends, in microseconds from the start of the first day.
        liked, added: Whether the listener likes or adds the item after playing it.
        disliked: Whether the listener says that they dislike it.
        left: Time at which the listener is done with the page.
        more: Whether the listener asks for another page.
        surface: Surface of that page.
    """

    examined: np.ndarray
    played: np.ndarray
    ms: np.ndarray
    ended: np.ndarray
    liked: np.ndarray
    added: np.ndarray
    disliked: np.ndarray
    left: np.ndarray
    more: np.ndarray
    surface: np.ndarray


@dataclass(frozen=True)
class Actions:
    """Interactions in the order of their pages and slots, as `[actions]` arrays.

    Args:
        page, slot: Where the item was shown.
        action: Position in `schema.ACTIONS`, or `DISLIKE`.
        ts: Microseconds from the start of the first day.
        ms: Milliseconds played; -1 for other actions than plays and skips.
    """

    page: np.ndarray
    slot: np.ndarray
    action: np.ndarray
    ts: np.ndarray
    ms: np.ndarray


def draws(seed: int, request: np.ndarray, slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the random numbers of requests: `[pages, PAGE_DRAWS]` and `[pages, slots, SLOT_DRAWS]`, uniform in [0, 1).

    Those of a slot do not depend on how many slots follow it.
    """
    count = PAGE_DRAWS + slots * SLOT_DRAWS
    rows = [generator(seed, Stream.REQUEST, number).random(count) for number in request.tolist()]
    numbers = np.reshape(rows, (len(request), count))
    return numbers[:, :PAGE_DRAWS], numbers[:, PAGE_DRAWS:].reshape(len(request), slots, SLOT_DRAWS)


def respond(
    today: Today, seed: int, request: np.ndarray, mood: np.ndarray, began: np.ndarray, pages: Pages
) -> Responses:
    """Draw the responses to pages.

    Args:
        today: The world on the day of the sessions.
        seed: Seed of the world.
        request: Numbers of the requests, unique in the world `[pages]`.
        mood: Mood of each session, a position in `MOODS` `[pages]`.
        began: Start of each session, in microseconds from the start of the first day `[pages]`.
        pages: What is shown.
    """
    page_draws, slot_draws = draws(seed, request, pages.item.shape[1])
    looks, play, length, skip, like, add, dislike, pause = np.split(slot_draws, [2, 3, 4, 5, 6, 7, 8], axis=2)
    play, length, skip, like, add, dislike, pause = (x[..., 0] for x in (play, length, skip, like, add, dislike, pause))
    liking = today.liking(pages.user, hour_of(pages.at), mood, pages.item)
    would_play = pages.shown & (play < today.play_chance(liking))
    examined = attention.draw(pages.surface, pages.column, pages.shown, would_play, looks)
    played = examined & would_play
    skip_ms = SHORTEST_SKIP_MS + skip * (schema.PLAY_THROUGH_MS - 2 * SHORTEST_SKIP_MS)
    ms = np.where(played, today.play_ms(pages.item, length), skip_ms).astype(np.int64)
    pauses = np.where(played, 8 * SECOND + pause * 12 * SECOND, SECOND).astype(np.int64)
    spent = np.where(examined, ms * 1000 + pauses, 0)  # [pages, slots], microseconds
    before = spent.cumsum(axis=1) - spent
    any_play = played.any(axis=1)
    left = pages.at + spent.sum(axis=1) + 3 * SECOND
    more = page_draws[:, 0] < np.where(any_play, MORE_AFTER_PLAY, MORE)
    moves = page_draws[:, 1] < np.where(any_play, TO_NOW_PLAYING, TO_HOME)
    return Responses(
        examined=examined,
        played=played,
        ms=ms,
        ended=pages.at[:, None] + SECOND + before + ms * 1000,
        liked=played & (like < like_chance(liking)),
        added=played & (add < add_chance(liking)),
        disliked=examined & np.isneginf(liking) & (dislike < DISLIKE_CHANCE),
        left=left,
        more=more & (left - began <= PATIENCE),
        surface=np.where(moves, np.where(any_play, NOW_PLAYING, HOME), pages.surface),
    )


def actions(responses: Responses, lost: np.ndarray) -> Actions:
    """Return the interactions of the responses that are told to anybody.

    Args:
        responses: The responses.
        lost: Slots whose plays and play times are lost `[pages, slots]`, from `Today.lost`.
    """
    ms = np.where(lost, -1, responses.ms)
    none = np.full_like(ms, -1)
    skipped = responses.examined & ~responses.played
    codes = [PLAY, SKIP, LIKE, ADD, DISLIKE]
    happened = [responses.played & ~lost, skipped, responses.liked, responses.added, responses.disliked]
    after = [0, 0, 2 * SECOND, 5 * SECOND, SECOND]  # from the end of the play or skip
    places = [np.nonzero(mask) for mask in happened]
    page, slot = (np.concatenate([place[axis] for place in places]) for axis in (0, 1))
    action = np.repeat(codes, [len(place[0]) for place in places])
    ts = np.concatenate([responses.ended[place] + delay for place, delay in zip(places, after, strict=True)])
    played_ms = np.concatenate([of[place] for place, of in zip(places, (ms, ms, none, none, none), strict=True)])
    order = np.lexsort((action, slot, page))
    return Actions(page[order], slot[order], action[order], ts[order], played_ms[order])
