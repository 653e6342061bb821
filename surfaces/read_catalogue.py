"""Read the catalogue of a home: the imported tables, and the items that were added to the served models since."""

from pathlib import Path
from typing import Any

import numpy as np

from events.schema import POSITIVE
from segue.files import atomic_path, read_json
from segue.settings import MODEL_CARD, Home
from serving.store.model_store import stable
from surfaces.catalogue import NO_DAY, Catalogue
from surfaces.co_listening import similar_items

POPULAR_DAYS = 28
DAY_MICROSECONDS = 86_400_000_000


def read_catalogue(home: Home) -> Catalogue:
    """The catalogue of a home. An added item that the tables do not have has a title only."""
    import pyarrow.parquet as pq

    table = pq.read_table(home.data / "items.parquet")
    names = set(table.column_names)
    columns = {name: table[name].to_pylist() for name in names}
    known = set(columns["item_id"])
    added = {item: title for item, title in added_titles(home).items() if item not in known}
    extra = len(added) + 1  # and the unknown item

    def text(name: str, filled: list[str] | None = None) -> np.ndarray:
        values = columns.get(name) or [None] * len(known)
        return np.array([value or "" for value in values] + (filled or [""] * len(added)) + [""], object)

    days = table["release_date"].cast("int32").to_pylist() if "release_date" in names else [None] * len(known)
    item_ids = np.array([*columns["item_id"], *added, ""], str)
    popularity, similar, similarity = plays(home, item_ids)
    return Catalogue(
        item_ids=item_ids,
        titles=text("title", list(added.values())),
        creator_ids=text("creator_id"),
        creators=text("creator"),
        content_types=text("content_type"),
        genres=objects([tuple(one or ()) for one in columns.get("genres", [])], (), len(item_ids)),
        release_days=np.array([NO_DAY if day is None else day for day in days] + [NO_DAY] * extra, np.int32),
        durations_ms=np.array([ms or 0 for ms in columns.get("duration_ms", [0] * len(known))] + [0] * extra, np.int64),
        markets=objects([frozenset(one or ()) for one in columns.get("markets", [])], frozenset(), len(item_ids)),
        explicit=np.array([bool(one) for one in columns.get("explicit", [False] * len(known))] + [False] * extra),
        popularity=popularity,
        similar=similar,
        similarity=similarity,
    )


def objects(values: list[Any], empty: Any, length: int) -> np.ndarray:
    """An array of Python objects, `[length]`; `empty` after the last value."""
    array = np.empty(length, object)
    for row in range(length):
        array[row] = values[row] if row < len(values) else empty
    return array


def added_titles(home: Home) -> dict[str, str]:
    """Item id -> title of the items that were added to the served retrieval model; empty before the first push."""
    folder = stable(home.models).get("retrieval")
    card = folder / MODEL_CARD if folder else None
    added = read_json(card).get("added", []) if card and card.is_file() else []
    return {item: title for batch in added for item, title in batch["items"].items()}


def plays(home: Home, item_ids: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Popularity by market, and similar items with their similarity; see `Catalogue`.

    They cost a reading of the whole log, so they are kept beside the features until the next import.
    """
    kept = home.features / "catalogue_plays.npz"
    manifest = read_json(home.data / "manifest.json")
    key = np.array([manifest["dataset"], manifest["sha256"], str(len(item_ids))])
    if kept.is_file():
        with np.load(kept) as arrays:
            if np.array_equal(arrays["key"], key):
                markets = arrays["markets"].tolist()
                return dict(zip(markets, arrays["popularity"], strict=True)), arrays["similar"], arrays["similarity"]
    popularity, similar, similarity = count_plays(home.data, item_ids)
    home.features.mkdir(parents=True, exist_ok=True)
    with atomic_path(kept) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            key=key,
            markets=np.array(list(popularity)),
            popularity=np.stack(list(popularity.values())),
            similar=similar,
            similarity=similarity,
        )
    return popularity, similar, similarity


def count_plays(data: Path, item_ids: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Count the plays of an imported log; see `plays`."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    chosen = ds.dataset(data / "events", format="parquet").to_table(
        columns=["user_id", "item_id", "ts"], filter=pc.field("action").isin(pa.array(POSITIVE))
    )
    items = pc.index_in(chosen["item_id"].combine_chunks(), pa.array(item_ids[:-1])).fill_null(-1).to_numpy()
    encoded = pc.dictionary_encode(chosen["user_id"].combine_chunks())
    listeners, users = encoded.dictionary, encoded.indices.to_numpy()
    micros = chosen["ts"].cast(pa.int64()).to_numpy()
    known = items >= 0
    items, users, micros = items[known], users[known], micros[known]

    table = pq.read_table(data / "users.parquet", columns=["user_id", "country"])
    places = pc.index_in(listeners, table["user_id"].combine_chunks())
    countries = np.array(table["country"].combine_chunks().take(places).fill_null("").to_pylist(), str)
    recent = micros > micros.max(initial=0) - POPULAR_DAYS * DAY_MICROSECONDS
    of_play = countries[users[recent]]
    size = len(item_ids)
    popularity = {"": np.bincount(items[recent], minlength=size).astype(np.float32)}
    for market in sorted(set(of_play.tolist()) - {""}):
        popularity[market] = np.bincount(items[recent][of_play == market], minlength=size).astype(np.float32)
    return popularity, *similar_items(users, items, size)
