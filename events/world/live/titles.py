"""Distinct titles and names for up to 64,000 items, and descriptions with words of the items' moods."""

import numpy as np
import pyarrow as pa

from events.world import catalogue as base
from events.world import names
from events.world.catalogue import Catalogue, Creators
from events.world.config import Stream, generator
from events.world.live.traits import ItemTraits
from events.world.live.words import ADJECTIVES, FIRST_NAMES, LAST_NAMES, MOOD_WORDS, NOUNS, OCCASIONS

MUSIC_TITLES = (
    "{adjective} {noun}", "My {adjective} {noun}", "{noun}, {adjective}", "{adjective} as a {noun}",
    "No {adjective} {noun}", "{adjective} {noun} Again", "Under the {adjective} {noun}",
)  # fmt: skip
PODCAST_TITLES = ("The {adjective} {noun}, season {series}, episode {number}",)
AUDIOBOOK_TITLES = ("The {noun} Called {adjective}", "One {adjective} {noun}: A Novel")
TITLES = (MUSIC_TITLES, PODCAST_TITLES, AUDIOBOOK_TITLES)  # in the order of `names.CONTENT_TYPES`
PAIRS = len(ADJECTIVES) * len(NOUNS)
FORMS = 7  # a pair of words can serve so many items, one for each form of a title


def titles(seed: int, catalogue: Catalogue) -> list[str]:
    """Return the titles of all items. No two are equal, up to `PAIRS * FORMS` items.

    Each item has its own code of a pair of words and a form. A content type with fewer forms than a pair has codes
    numbers them: the seasons of a podcast, the parts of an audiobook.
    """
    codes = generator(seed, Stream.TITLES).permutation(PAIRS * FORMS)[: len(catalogue)].tolist()
    numbers = base.number_by_creator(catalogue.creator).tolist()
    return [title(*row) for row in zip(codes, catalogue.content_type.tolist(), numbers, strict=True)]


def title(code: int, content_type: int, number: int) -> str:
    """Return the title of a code. `number` counts the items of the creator from 1; only podcasts show it."""
    pair, form = code % PAIRS, code // PAIRS
    words = {"adjective": ADJECTIVES[pair // len(NOUNS)], "noun": NOUNS[pair % len(NOUNS)]}
    forms = TITLES[content_type]
    series, form = divmod(form, len(forms))
    text = forms[form].format(**words, series=series + 1, number=number)
    return f"{text}, part {series + 1}" if series and names.CONTENT_TYPES[content_type] == names.AUDIOBOOK else text


def creator_names(seed: int, creators: Creators) -> list[str]:
    """Return the names of all creators: bands and musicians, podcasts with their hosts, and authors; all distinct."""
    rng = generator(seed, Stream.TITLES, 1)
    people = rng.permutation(len(FIRST_NAMES) * len(LAST_NAMES))
    bands = rng.permutation(PAIRS)
    result = []
    for number, content_type in enumerate(creators.content_type.tolist()):
        first, last = divmod(int(people[number % len(people)]), len(LAST_NAMES))
        adjective, noun = divmod(int(bands[number % PAIRS]), len(NOUNS))
        person = f"{FIRST_NAMES[first]} {LAST_NAMES[last]}"
        if names.CONTENT_TYPES[content_type] == names.PODCAST:
            result.append(f"{NOUNS[noun]} Talk with {person}")
        elif names.CONTENT_TYPES[content_type] == names.MUSIC and number % 2:
            result.append(f"The {ADJECTIVES[adjective]} {NOUNS[noun]}s")
        else:
            result.append(person)
    return result


def table(seed: int, creators: Creators, catalogue: Catalogue, traits: ItemTraits) -> pa.Table:
    """Return all items as a table of `schema.ITEMS`, and the column `explicit`."""
    plain = base.table(creators, catalogue)
    by_creator = creator_names(seed, creators)
    item_creators = [by_creator[creator] for creator in catalogue.creator.tolist()]
    words = generator(seed, Stream.TITLES, 2).random((len(catalogue), 3))
    descriptions = [
        description(*row)
        for row in zip(
            traits.mood.tolist(), plain["genres"].to_pylist(), plain["content_type"].to_pylist(), item_creators, words,
            strict=True,
        )
    ]  # fmt: skip
    changed = {"title": titles(seed, catalogue), "creator": item_creators, "description": descriptions}
    for name, values in changed.items():
        plain = plain.set_column(plain.schema.get_field_index(name), plain.schema.field(name), pa.array(values))
    return plain.append_column("explicit", pa.array(traits.explicit))


def description(mood: int, genres: list[str], content_type: str, creator: str, words: np.ndarray) -> str:
    """Return a description that says the mood with one of its words, from three random numbers in [0, 1)."""
    synonyms, occasions = MOOD_WORDS[mood], OCCASIONS[mood]
    first, second = int(words[0] * len(synonyms)), int(words[1] * (len(synonyms) - 1))
    others = [word for n, word in enumerate(synonyms) if n != first]
    sound = f"{synonyms[first].capitalize()}, {others[second]} {' and '.join(genres)}"
    return f"{sound} {content_type} by {creator}, for {occasions[int(words[2] * len(occasions))]}."
