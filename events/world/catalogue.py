"""What there is to hear: creators with a genre profile, and their items, released week by week."""

from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np
import pyarrow as pa

from events import schema
from events.world import names
from events.world.config import FIRST_DAY, WEEK, Stream, WorldConfig, generator

ITEMS_A_CREATOR = 8
KIND_SHARES = (0.7, 0.2, 0.1)  # of creators
MINUTES = np.array([(2.0, 5.5), (12.0, 60.0), (15.0, 45.0)])  # shortest and longest, by kind
OLD = 0.75  # share of the catalogue that is out before the first day
OLD_DAYS = 5 * 365
SECOND_GENRE = 0.3  # weight of a second genre, where there is one
FLOOD = 0.3  # items that a catalogue drift adds, as a share of the catalogue
FLOOD_BOOST = 6.0  # how much more weight they get


@dataclass(frozen=True)
class Creators:
    """`[creators]` arrays: kind, main and second genre, language (positions in `names`), size, name."""

    kind: np.ndarray
    genre: np.ndarray
    second: np.ndarray
    language: np.ndarray
    size: np.ndarray
    name: list[str]


@dataclass(frozen=True)
class Catalogue:
    """`[items]` arrays, ordered by release.

    `genres` and `share` are `[items, 2]`: a second genre may have the share 0. `release` is in days
    from the first day, negative before it. `weight` is what popularity is drawn by.
    """

    creator: np.ndarray
    kind: np.ndarray
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
        """This catalogue with another one's items behind its own."""
        pairs = [(getattr(self, f.name), getattr(more, f.name)) for f in fields(self)]
        return Catalogue(*(np.concatenate(pair) for pair in pairs))


def build(config: WorldConfig, seed: int) -> tuple[Creators, Catalogue]:
    """The creators and all their items, those of a catalogue drift included."""
    rng = generator(seed, Stream.CATALOGUE)
    creators = draw_creators(rng, max(3 * len(names.GENRES) // 2, config.items // ITEMS_A_CREATOR))
    chance = creators.size / creators.size.sum()
    old = int(config.items * OLD)
    weeks = max((config.days - 1) // WEEK, 1)
    release = np.concatenate([
        np.sort(-(rng.beta(1, 3, old) * OLD_DAYS).astype(np.int64)),
        WEEK * (1 + np.arange(config.items - old) * weeks // (config.items - old)),
    ])  # fmt: skip
    catalogue = draw_items(rng, creators, chance, release)
    if config.drift == "catalogue":
        catalogue = catalogue.extended(flood(config, seed, creators))
    return creators, catalogue


def flood(config: WorldConfig, seed: int, creators: Creators) -> Catalogue:
    """Many podcasts, all out on the drift day, and pushed."""
    chance = (creators.kind == names.KINDS.index(names.PODCAST)) * creators.size
    release = np.full(int(config.items * FLOOD), config.drift_day, np.int64)
    rng = generator(seed, Stream.DRIFT)
    return draw_items(rng, creators, chance / chance.sum(), release, FLOOD_BOOST)


def draw_creators(rng: np.random.Generator, count: int) -> Creators:
    """Creators of every kind and genre."""
    pick = [rng.integers(len(words), size=count) for words in
            (names.ADJECTIVES, names.NOUNS, names.FIRST_NAMES, names.LAST_NAMES)]  # fmt: skip
    kind = rng.choice(len(names.KINDS), count, p=KIND_SHARES)
    kind[: len(names.KINDS)] = np.arange(len(names.KINDS))  # at least one of each
    return Creators(
        kind=kind,
        genre=rng.permutation(count) % len(names.GENRES),
        second=rng.integers(len(names.GENRES), size=count),
        language=rng.choice(len(names.LANGUAGES), count, p=(0.6, 0.1, 0.1, 0.1, 0.1)),
        size=rng.lognormal(0, 0.6, count),
        name=[names.creator_name(*words) for words in zip(kind.tolist(), *(p.tolist() for p in pick), strict=True)],
    )


def draw_items(
    rng: np.random.Generator, creators: Creators, chance: np.ndarray, release: np.ndarray, boost: float = 1.0
) -> Catalogue:
    """One item for each entry of `release`, by creators drawn with `chance` `[creators]`."""
    count = len(release)
    creator = rng.choice(len(chance), count, p=chance)
    main = np.where(rng.random(count) < 0.85, creators.genre[creator], creators.second[creator])
    other = rng.integers(len(names.GENRES), size=count)
    mixed = (rng.random(count) < 0.4) & (other != main)
    second = np.where(mixed, SECOND_GENRE, 0.0)
    kind = creators.kind[creator]
    shortest, longest = MINUTES[kind].T
    quality = rng.standard_normal(count)
    return Catalogue(
        creator=creator,
        kind=kind,
        genres=np.stack([main, np.where(mixed, other, main)], axis=1),
        share=np.stack([1 - second, second], axis=1),
        quality=quality,
        weight=boost * np.exp(0.7 * rng.standard_normal(count) + 0.3 * quality),
        release=release,
        duration_ms=((shortest + rng.random(count) * (longest - shortest)) * 60_000).astype(np.int64),
        adjective=rng.integers(len(names.ADJECTIVES), size=count),
        noun=rng.integers(len(names.NOUNS), size=count),
    )


def item_ids(count: int) -> list[str]:
    """`i00001`, `i00002`, …"""
    return [f"i{n:05d}" for n in range(1, count + 1)]


def table(creators: Creators, catalogue: Catalogue) -> pa.Table:
    """The catalogue as `schema.ITEMS`."""
    numbers = numbered(catalogue.creator)
    kinds = catalogue.kind.tolist()
    words = zip(kinds, catalogue.adjective.tolist(), catalogue.noun.tolist(), numbers.tolist(), strict=True)
    genres = [
        [names.GENRES[a]] if share == 0 else [names.GENRES[a], names.GENRES[b]]
        for (a, b), share in zip(catalogue.genres.tolist(), catalogue.share[:, 1].tolist(), strict=True)
    ]
    who = [creators.name[c] for c in catalogue.creator.tolist()]
    columns = {
        "item_id": item_ids(len(catalogue)),
        "title": [names.title(*word) for word in words],
        "creator_id": [f"c{c + 1:05d}" for c in catalogue.creator.tolist()],
        "creator": who,
        "content_type": [names.KINDS[k] for k in kinds],
        "genres": genres,
        "language": [names.LANGUAGES[i] for i in creators.language[catalogue.creator].tolist()],
        "duration_ms": catalogue.duration_ms,
        "release_date": [FIRST_DAY + timedelta(days=day) for day in catalogue.release.tolist()],
        "description": [
            f"{' and '.join(g).capitalize()} {names.KINDS[k]} by {name}."
            for g, k, name in zip(genres, kinds, who, strict=True)
        ],
        "markets": [None] * len(catalogue),
    }
    return pa.table([pa.array(columns[f.name], f.type) for f in schema.ITEMS], schema=schema.ITEMS)


def numbered(creator: np.ndarray) -> np.ndarray:
    """For each item, how many items of its creator came up to it, itself included."""
    order = np.argsort(creator, kind="stable")
    grouped = creator[order]
    start = np.searchsorted(grouped, grouped)  # where the group begins
    numbers = np.empty(len(creator), np.int64)
    numbers[order] = np.arange(len(creator)) - start + 1
    return numbers
