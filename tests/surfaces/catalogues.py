"""Small catalogues for tests, without files."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

from surfaces.catalogue import NO_DAY, Catalogue


def make_catalogue(
    items: Mapping[str, Mapping[str, Any]],
    popularity: Mapping[str, Mapping[str, float]] | None = None,
    similar: Mapping[str, Mapping[str, float]] | None = None,
) -> Catalogue:
    """A catalogue of some items.

    Args:
        items: item id -> `title`, `creator_id`, `creator`, `content_type` (`music`), `genres`, `release` (a date or its
            text), `duration_ms`, `markets`, `explicit`; each may be missing.
        popularity: market, '' for all -> item id -> plays.
        similar: item id -> similar item id -> similarity, best first.
    """
    ids = list(items)
    rows = {item: row for row, item in enumerate(ids)}
    described = [*items.values(), {"content_type": ""}]

    def column(name: str, empty: Any) -> np.ndarray:
        array = np.empty(len(described), object)
        for row, one in enumerate(described):
            array[row] = one.get(name, empty)
        return array

    def day(value: Any) -> int:
        if value is None:
            return NO_DAY
        return (date.fromisoformat(str(value)) - date(1970, 1, 1)).days

    plays = {market: np.zeros(len(described), np.float32) for market in {"": {}, **(popularity or {})}}
    for market, counts in (popularity or {}).items():
        for item, count in counts.items():
            plays[market][rows[item]] = count
    width = max((len(others) for others in (similar or {}).values()), default=0)
    neighbours = np.full((len(described), width), -1, np.int32)
    similarity = np.zeros((len(described), width), np.float32)
    for item, others in (similar or {}).items():
        neighbours[rows[item], : len(others)] = [rows[other] for other in others]
        similarity[rows[item], : len(others)] = list(others.values())
    types = column("content_type", "music")
    return Catalogue(
        item_ids=np.array([*ids, ""], str),
        titles=column("title", ""),
        creator_ids=column("creator_id", ""),
        creators=column("creator", ""),
        content_types=types,
        genres=column("genres", ()),
        release_days=np.array([day(value) for value in column("release", None)], np.int32),
        durations_ms=column("duration_ms", 0).astype(np.int64),
        markets=column("markets", frozenset()),
        explicit=column("explicit", False).astype(bool),
        popularity=plays,
        plays_by_hour=np.ones((24, len({*types.tolist()} - {""})), np.float32),
        similar=neighbours,
        similarity=similarity,
    )
