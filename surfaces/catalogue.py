"""The catalogue in memory: what the stages need to know about an item, as arrays by its row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np

from segue.errors import InputError

UNKNOWN = -1  # the row of an item that the catalogue does not have: the last entry of every array
NO_DAY = np.iinfo(np.int32).min
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Catalogue:
    """The items, and one entry more at the end of each array for an unknown item (row -1).

    Attributes:
        item_ids: str, `[n + 1]`; '' for the unknown item.
        titles, creator_ids, creators, content_types: str, `[n + 1]`; '' where it is not known.
        genres: tuples of names, `[n + 1]`.
        release_days: days since 1970 UTC, int32 `[n + 1]`; `NO_DAY` where it is not known.
        durations_ms: int64 `[n + 1]`; 0 where it is not known.
        markets: the markets of an item as a frozenset, `[n + 1]`; an empty set means every market.
        explicit: bool `[n + 1]`.
        popularity: plays of the newest 28 days of the log by market, '' for all markets; float32 `[n + 1]` each.
        plays_by_hour: plays of the log by hour of the day (UTC) and content type, float32 `[24, types]`, in the order
            of `types`.
        similar: rows of the items that the same listeners played, best first, int32 `[n + 1, m]`; -1 for none.
        similarity: how alike they are, from 0 to 1, float32 `[n + 1, m]`.
    """

    item_ids: np.ndarray
    titles: np.ndarray
    creator_ids: np.ndarray
    creators: np.ndarray
    content_types: np.ndarray
    genres: np.ndarray
    release_days: np.ndarray
    durations_ms: np.ndarray
    markets: np.ndarray
    explicit: np.ndarray
    popularity: Mapping[str, np.ndarray]
    plays_by_hour: np.ndarray
    similar: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.item_ids) - 1

    @cached_property
    def index(self) -> dict[str, int]:
        """Item id -> row."""
        return {item: row for row, item in enumerate(self.item_ids[:-1].tolist())}

    def rows(self, item_ids: Iterable[str]) -> np.ndarray:
        """The rows of some items, int32 `[k]`; -1 for an item that the catalogue does not have."""
        return np.fromiter(map(self.index.get, item_ids, repeat(UNKNOWN)), np.int32)

    def title(self, item_id: str) -> str:
        """The title of an item; its id if none is known."""
        return str(self.titles[self.index.get(item_id, UNKNOWN)]) or item_id

    def check(self, picks: Iterable[str]) -> None:
        """Check that the items that a new listener picked are in the catalogue.

        Raises:
            InputError: some are not; the error names all of them.
        """
        unknown = [item for item in picks if item not in self.index]
        if unknown:
            raise InputError(
                f"Picked items must be in the imported catalogue; not in it: {', '.join(map(repr, unknown))}.",
                "Take ids from the column `item_id` of `items.parquet` in the imported data.",
            )

    @cached_property
    def cards(self) -> list[dict[str, Any]]:
        """What a person recognises each item by: the fields of `surfaces.gateway.api.Item`, `[n + 1]`."""
        columns = (
            self.item_ids, self.titles, self.creators, self.content_types, self.genres, self.durations_ms,
            self.release_days,
        )  # fmt: skip
        return [
            {
                "item_id": item_id,
                "title": title or item_id,
                "creator": creator,
                "content_type": content_type,
                "genres": genres,
                "duration_ms": duration_ms or None,
                "release_date": None if day == NO_DAY else (EPOCH + timedelta(days=day)).isoformat(),
            }
            for item_id, title, creator, content_type, genres, duration_ms, day in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The content types of the items, sorted."""
        return tuple(sorted({name for name in self.content_types.tolist() if name}))

    @cached_property
    def known_markets(self) -> frozenset[str]:
        """The markets that an item or a listener names."""
        return frozenset(self.popularity) - {""} | frozenset(name for names in self.markets for name in names)

    @cached_property
    def type_codes(self) -> np.ndarray:
        """The number in `types` of each item's content type, int8 `[n + 1]`; -1 where it is not known."""
        codes = {name: code for code, name in enumerate(self.types)}
        return np.array([codes.get(name, -1) for name in self.content_types.tolist()], np.int8)

    @cached_property
    def available(self) -> dict[str, np.ndarray]:
        """By market, whether each item may be shown there, bool `[n + 1]`; '' for a market that no item names."""
        everywhere = np.array([not names for names in self.markets], bool)
        masks = {market: everywhere.copy() for market in (*self.known_markets, "")}
        for row, names in enumerate(self.markets):
            for market in names:
                masks[market][row] = True
        return masks

    @cached_property
    def genre_names(self) -> tuple[str, ...]:
        """The genres of the items, sorted: the columns of `genre_vectors`."""
        return tuple(sorted({name for names in self.genres for name in names}))

    @cached_property
    def genre_vectors(self) -> np.ndarray:
        """The genres of each item as a vector of length 1, float32 `[n + 1, genres]`; zeros without a genre."""
        columns = {name: column for column, name in enumerate(self.genre_names)}
        vectors = np.zeros((len(self.item_ids), len(columns)), np.float32)
        for row, names in enumerate(self.genres):
            if names:
                vectors[row, [columns[name] for name in names]] = len(set(names)) ** -0.5
        return vectors

    @cached_property
    def creator_shares(self) -> np.ndarray:
        """Each item's share of its creator's plays, with one more play each, float32 `[n + 1]`; 0 without a creator."""
        _, codes = np.unique(self.creator_ids.astype(str), return_inverse=True)
        plays = self.popularity[""].astype(np.float64) + 1.0
        return np.where(self.creator_ids == "", 0.0, plays / np.bincount(codes, plays)[codes]).astype(np.float32)

    @cached_property
    def by_release(self) -> np.ndarray:
        """Rows from the newest release to the oldest, int32 `[n]`."""
        return np.argsort(-self.release_days[:-1].astype(np.int64), kind="stable").astype(np.int32)

    @cached_property
    def by_popularity(self) -> dict[str, np.ndarray]:
        """By market, rows from the most to the least played, without unplayed items; '' for all markets."""
        ranked = {}
        for market, plays in self.popularity.items():
            order = np.argsort(-plays[:-1], kind="stable").astype(np.int32)
            ranked[market] = order[plays[order] > 0]
        return ranked

    def popular(self, market: str) -> np.ndarray:
        """Rows from the most to the least played in a market; of all markets where nobody there played anything."""
        rows = self.by_popularity.get(market)
        return self.by_popularity[""] if rows is None or not len(rows) else rows

    def allowed(self, rows: np.ndarray, market: str, content_types: Sequence[str]) -> np.ndarray:
        """Whether items may be shown in a market and are of some types, bool `[k]`; empty conditions hold for all.

        They hold for unknown items too: the models, which know them, have the same filters.

        Args:
            rows: int32 `[k]`.
            market: '' for no condition.
            content_types: empty for no condition.
        """
        allowed = np.ones(len(rows), bool)
        if market:
            allowed &= self.available.get(market, self.available[""])[rows]
        if content_types:
            codes = [self.types.index(name) for name in content_types if name in self.types]
            allowed &= np.isin(self.type_codes[rows], codes)
        return allowed | (rows < 0)
