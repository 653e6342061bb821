"""The catalogue of the world: creators with main genres, and their items, some of them released during the log."""

from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np
import pyarrow as pa

from events import schema
from events.world import names
from events.world.config import FIRST_DAY, WEEK, Stream, WorldConfig, generator

ITEMS_PER_CREATOR = 8
CONTENT_TYPE_SHARES = (0.7, 0.2, 0.1)  # of the creators, in the order of `names.CONTENT_TYPES`
MINUTES = np.array([(2.0, 5.5), (12.0, 60.0), (15.0, 45.0)])  # shortest and longest item of each content type
OLD_SHARE = 0.75  # share of the catalogue released before the first day
OLDEST_DAYS = 5 * 365  # before the first day
SECOND_GENRE = 0.3  # share of an item's second genre, if it has one
FLOOD_SHARE = 0.3  # a catalogue drift adds this share of the catalogue
FLOOD_BOOST = 6.0  # the added items are this many times as popular


@dataclass(frozen=True)
class Creators:
    """The creators, as `[creators]` arrays.

    Args:
        content_type, genre, second, language: Positions in the lists of `names`. `genre` is the main genre of the
            creator's items, `second` a less frequent one.
        size: How many items a creator releases, relative to the others.
        name: Name of the creator.
    """

    content_type: np.ndarray
    genre: np.ndarray
    second: np.ndarray
    language: np.ndarray
    size: np.ndarray
    name: list[str]


@dataclass(frozen=True)
class Catalogue:
    """The items, as `[items]` arrays. A catalogue drift adds its items at the end; the others are ordered by release.

    Args:
        creator: Position of the creator.
        content_type: Position in `names.CONTENT_TYPES`.
        genres: Positions in `names.GENRES` `[items, 2]`.
        share: Shares of the two genres `[items, 2]`. The second share is 0 for an item of a single genre.
        quality: How much all listeners like the item, in standard deviations.
        weight: Popularity of the item, relative to the others.
        release: Day of release, counted from the first day of the log; negative before it.
        duration_ms: Duration.
        adjective, noun: Words of the title, as positions in the lists of `names`.
    """

    creator: np.ndarray
    content_type: np.ndarray
    genres: np.ndarray
    share: np.ndarray
    quality: np.ndarray
    weight: np.ndarray
    release: np.ndarray
    duration_ms: np.ndarray
    adjective: np.ndarray
    noun: np.ndarray

    def __len__(self) -> int:
        return len(self.creator)

    def extended(self, more: "Catalogue") -> "Catalogue":
        """Return this catalogue followed by the items of another one."""
        pairs = [(getattr(self, f.name), getattr(more, f.name)) for f in fields(self)]
        return Catalogue(*(np.concatenate(pair) for pair in pairs))


def build(config: WorldConfig, seed: int) -> tuple[Creators, Catalogue]:
    """Return the creators and all their items, including those that a catalogue drift adds."""
    rng = generator(seed, Stream.CATALOGUE)
    creators = draw_creators(rng, max(3 * len(names.GENRES) // 2, config.items // ITEMS_PER_CREATOR))
    creator_chances = creators.size / creators.size.sum()
    old = int(config.items * OLD_SHARE)
    weeks = max((config.horizon - 1) // WEEK, 1)
    release = np.concatenate([
        np.sort(-(rng.beta(1, 3, old) * OLDEST_DAYS).astype(np.int64)),
        WEEK * (1 + np.arange(config.items - old) * weeks // (config.items - old)),
    ])  # fmt: skip
    catalogue = draw_items(rng, creators, creator_chances, release)
    if config.drift == "catalogue":
        catalogue = catalogue.extended(flood(config, seed, creators))
    return creators, catalogue


def flood(config: WorldConfig, seed: int, creators: Creators) -> Catalogue:
    """Return the items of a catalogue drift: many podcasts, all popular and all released on the drift day."""
    sizes = (creators.content_type == names.CONTENT_TYPES.index(names.PODCAST)) * creators.size
    release = np.full(int(config.items * FLOOD_SHARE), config.drift_day, np.int64)
    rng = generator(seed, Stream.DRIFT)
    return draw_items(rng, creators, sizes / sizes.sum(), release, FLOOD_BOOST)


def draw_creators(rng: np.random.Generator, count: int) -> Creators:
    """Draw creators, at least one of each content type and genre."""
    word_codes = [rng.integers(len(words), size=count) for words in
            (names.ADJECTIVES, names.NOUNS, names.FIRST_NAMES, names.LAST_NAMES)]  # fmt: skip
    content_type = rng.choice(len(names.CONTENT_TYPES), count, p=CONTENT_TYPE_SHARES)
    content_type[: len(names.CONTENT_TYPES)] = np.arange(len(names.CONTENT_TYPES))  # at least one of each
    return Creators(
        content_type=content_type,
        genre=rng.permutation(count) % len(names.GENRES),
        second=rng.integers(len(names.GENRES), size=count),
        language=rng.choice(len(names.LANGUAGES), count, p=(0.6, 0.1, 0.1, 0.1, 0.1)),
        size=rng.lognormal(0, 0.6, count),
        name=[
            names.creator_name(*words)
            for words in zip(content_type.tolist(), *(codes.tolist() for codes in word_codes), strict=True)
        ],
    )


def draw_items(
    rng: np.random.Generator, creators: Creators, creator_chances: np.ndarray, release: np.ndarray, boost: float = 1.0
) -> Catalogue:
    """Draw one item for each day of release.

    Args:
        rng: Random generator.
        creators: All creators.
        creator_chances: Probability that an item is by each creator `[creators]`.
        release: Days of release `[items]`.
        boost: Factor of the items' popularity.
    """
    count = len(release)
    creator = rng.choice(len(creator_chances), count, p=creator_chances)
    main = np.where(rng.random(count) < 0.85, creators.genre[creator], creators.second[creator])
    other = rng.integers(len(names.GENRES), size=count)
    mixed = (rng.random(count) < 0.4) & (other != main)
    second_share = np.where(mixed, SECOND_GENRE, 0.0)
    content_type = creators.content_type[creator]
    shortest, longest = MINUTES[content_type].T
    quality = rng.standard_normal(count)
    return Catalogue(
        creator=creator,
        content_type=content_type,
        genres=np.stack([main, np.where(mixed, other, main)], axis=1),
        share=np.stack([1 - second_share, second_share], axis=1),
        quality=quality,
        weight=boost * np.exp(0.7 * rng.standard_normal(count) + 0.3 * quality),
        release=release,
        duration_ms=((shortest + rng.random(count) * (longest - shortest)) * 60_000).astype(np.int64),
        adjective=rng.integers(len(names.ADJECTIVES), size=count),
        noun=rng.integers(len(names.NOUNS), size=count),
    )


def item_ids(count: int) -> list[str]:
    """Return the item ids `i00001`, `i00002`, …"""
    return [f"i{n:05d}" for n in range(1, count + 1)]


def table(creators: Creators, catalogue: Catalogue) -> pa.Table:
    """Return the catalogue as a table of `schema.ITEMS`."""
    numbers = number_by_creator(catalogue.creator)
    content_types = catalogue.content_type.tolist()
    words = zip(content_types, catalogue.adjective.tolist(), catalogue.noun.tolist(), numbers.tolist(), strict=True)
    genres = [
        [names.GENRES[a]] if share == 0 else [names.GENRES[a], names.GENRES[b]]
        for (a, b), share in zip(catalogue.genres.tolist(), catalogue.share[:, 1].tolist(), strict=True)
    ]
    creator_names = [creators.name[c] for c in catalogue.creator.tolist()]
    columns = {
        "item_id": item_ids(len(catalogue)),
        "title": [names.title(*word) for word in words],
        "creator_id": [f"c{c + 1:05d}" for c in catalogue.creator.tolist()],
        "creator": creator_names,
        "content_type": [names.CONTENT_TYPES[code] for code in content_types],
        "genres": genres,
        "language": [names.LANGUAGES[i] for i in creators.language[catalogue.creator].tolist()],
        "duration_ms": catalogue.duration_ms,
        "release_date": [FIRST_DAY + timedelta(days=day) for day in catalogue.release.tolist()],
        "description": [
            f"{' and '.join(item_genres).capitalize()} {names.CONTENT_TYPES[code]} by {name}."
            for item_genres, code, name in zip(genres, content_types, creator_names, strict=True)
        ],
        "markets": [None] * len(catalogue),
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in schema.ITEMS], schema=schema.ITEMS)


def number_by_creator(creator: np.ndarray) -> np.ndarray:
    """Number the items of each creator from 1, in the order of the catalogue, and return the number of each item."""
    order = np.argsort(creator, kind="stable")
    grouped = creator[order]
    start = np.searchsorted(grouped, grouped)  # [items], where the items of the same creator begin in `order`
    numbers = np.empty(len(creator), np.int64)
    numbers[order] = np.arange(len(creator)) - start + 1
    return numbers
