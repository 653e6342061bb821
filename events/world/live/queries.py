"""What listeners type when they search: natural phrases for a genre, a creator or a title, some with typos."""

from dataclasses import dataclass

import numpy as np

from events.world import names
from events.world.config import Stream, generator
from events.world.day import CREATOR_QUERY, GENRE_QUERY, intents
from events.world.live.words import MOOD_WORDS, OCCASIONS
from events.world.policy import Policy
from events.world.shelves import GENRE_SHELVES

TYPO, SECOND_TYPO = 0.2, 0.25  # chance of a typo in a query, and then of a second one
PLURALS = {"music": "songs", "podcast": "podcasts", "audiobook": "audiobooks"}
GENRE_PHRASES = (
    "{mood} {genre}", "{genre} for {occasion}", "something {mood} with a bit of {genre}", "{mood} {genre} {plural}",
    "new {genre} {plural}", "play me some {genre}", "{plural} for {occasion}, maybe {genre}", "{genre}",
)  # fmt: skip
CREATOR_PHRASES = ("{creator}", "{plural} by {creator}", "latest from {creator}", "anything by {creator}")
TITLE_PHRASES = ("{title}", "{title} by {creator}", "that one called {title}", "{title} {creator}")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Searches:
    """Searches of listeners, one for each request.

    Args:
        shelf: Shelf that the query means `[requests]`: a genre shelf, or that of the creator.
        target: The item that the listener has in mind `[requests]`.
        meant: The queries as they were meant, in small letters.
        text: The queries as they were typed.
    """

    shelf: np.ndarray
    target: np.ndarray
    meant: list[str]
    text: list[str]


def searches(
    seed: int,
    request: np.ndarray,
    user: np.ndarray,
    mood: np.ndarray,
    policy: Policy,
    titles: list[str],
    creators: list[str],
) -> Searches:
    """Return what listeners search for.

    Args:
        seed: Seed of the world.
        request: Numbers of the requests `[requests]`. They key the random draws.
        user, mood: Listeners, and moods of the sessions `[requests]`.
        policy: Logging policy of the day, which holds the tastes.
        titles: Titles of the items.
        creators: Names of the creators.
    """
    catalogue = policy.shelves.catalogue
    rngs = [generator(seed, Stream.SEARCH, number) for number in request.tolist()]
    draws = np.reshape([rng.random(3) for rng in rngs], (len(rngs), 3))
    shelf, target = intents(policy, user, draws[:, 0], draws[:, 1])
    meant = []
    for row, item in enumerate(target.tolist()):
        by_genre, by_creator = draws[row, 2] < GENRE_QUERY, draws[row, 2] < CREATOR_QUERY
        phrases = GENRE_PHRASES if by_genre else CREATOR_PHRASES if by_creator else TITLE_PHRASES
        words = {
            "mood": pick(rngs[row], MOOD_WORDS[mood[row]]),
            "occasion": pick(rngs[row], OCCASIONS[mood[row]]),
            "genre": names.GENRES[shelf[row] // len(names.CONTENT_TYPES)],
            "plural": PLURALS[names.CONTENT_TYPES[catalogue.content_type[item]]],
            "creator": creators[catalogue.creator[item]],
            "title": titles[item],
        }
        meant.append(pick(rngs[row], phrases).format(**words).lower())
    return Searches(
        shelf=np.where(draws[:, 2] < GENRE_QUERY, shelf, GENRE_SHELVES + catalogue.creator[target]),
        target=target,
        meant=meant,
        text=[typed(rng, text) for rng, text in zip(rngs, meant, strict=True)],
    )


def pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    """Return one of the choices, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def typed(rng: np.random.Generator, text: str) -> str:
    """Return a query as it is typed: at a distance of 0, 1 or 2 edits."""
    edits = 0 if rng.random() >= TYPO else 1 + int(rng.random() < SECOND_TYPO)
    for _ in range(edits):
        text = misspelt(rng, text)
    return text


def misspelt(rng: np.random.Generator, text: str) -> str:
    """Return the text with a letter left out, doubled, replaced or exchanged with the next one.

    One call is one edit in the sense of Damerau and Levenshtein. The first letter of a word stays, because typists
    seldom miss it. A text without a word of four letters is returned as it is.
    """
    places = [n for n in range(1, len(text)) if text[n].isalpha() and text[n - 1].isalpha()]
    if len(places) < 3:
        return text
    n = places[int(rng.integers(len(places)))]
    kind = int(rng.integers(4))
    if kind == 0:
        return text[:n] + text[n + 1 :]
    if kind == 1:
        return text[:n] + text[n] + text[n:]
    if kind == 2 and n + 1 < len(text) and text[n + 1].isalpha() and text[n] != text[n + 1]:
        return text[:n] + text[n + 1] + text[n] + text[n + 2 :]
    other = LETTERS[(LETTERS.find(text[n]) + 1 + int(rng.integers(len(LETTERS) - 1))) % len(LETTERS)]
    return text[:n] + other + text[n + 1 :]
