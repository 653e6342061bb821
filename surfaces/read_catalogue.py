"""Read the catalogue of a home: the imported tables, and the items that were added to the served models since."""

from pathlib import Path
from typing import Any

import numpy as np

from events.schema import ITEMS, POSITIVE
from segue.errors import InputError
from segue.files import atomic_path, read_json
from segue.settings import MODEL_CARD, Home
from serving.store.model_store import stable
from surfaces.catalogue import NO_DAY, Catalogue
from surfaces.co_listening import similar_items

POPULAR_DAYS = 28
HOUR_MICROSECONDS = 3_600_000_000
FORMAT = 1  # of the kept counts


def read_catalogue(home: Home) -> Catalogue:
    """The catalogue of a home, with what is counted from its log.

    Raises:
        InputError: nothing was imported.
    """
    if not (home.data / "manifest.json").is_file():
        raise InputError("Nothing is imported yet.", "Run `segue data import` first.")
    items = read_items(home)
    return Catalogue(**items, **plays(home, items["item_ids"], items["content_types"]))


def read_uncounted(home: Home) -> Catalogue:
    """The catalogue of a home without popularity and similar items, which need a reading of the whole log."""
    items = read_items(home)
    size = len(items["item_ids"])
    return Catalogue(
        **items,
        popularity={"": np.zeros(size, np.float32)},
        plays_by_hour=np.zeros((24, len({*items["content_types"].tolist()} - {""})), np.float32),
        similar=np.zeros((size, 0), np.int32),
        similarity=np.zeros((size, 0), np.float32),
    )


def read_items(home: Home) -> dict[str, Any]:
    """The fields of `Catalogue` that describe items. An added item that the tables do not have has a title only."""
    import pyarrow.parquet as pq

    file = home.data / "items.parquet"
    table = pq.read_table(file) if file.is_file() else ITEMS.empty_table()
    names = set(table.column_names)
    columns = {name: table[name].to_pylist() for name in names}
    count = table.num_rows
    known = set(columns["item_id"])
    added = {item: title for item, title in added_titles(home).items() if item not in known}
    extra = len(added) + 1  # and the unknown item

    def text(name: str, filled: list[str] | None = None) -> np.ndarray:
        values = columns.get(name) or [None] * count
        return np.array([value or "" for value in values] + (filled or [""] * len(added)) + [""], object)

    def numbers(name: str, empty: int, dtype: type) -> np.ndarray:
        values = columns.get(name) or [None] * count
        return np.array([empty if value is None else value for value in values] + [empty] * extra, dtype)

    if "release_date" in names:
        columns["release_date"] = table["release_date"].cast("int32").to_pylist()
    return {
        "item_ids": np.array([*columns["item_id"], *added, ""], str),
        "titles": text("title", list(added.values())),
        "creator_ids": text("creator_id"),
        "creators": text("creator"),
        "content_types": text("content_type"),
        "genres": objects([tuple(one or ()) for one in columns.get("genres", [])], (), count + extra),
        "release_days": numbers("release_date", NO_DAY, np.int32),
        "durations_ms": numbers("duration_ms", 0, np.int64),
        "markets": objects([frozenset(one or ()) for one in columns.get("markets", [])], frozenset(), count + extra),
        "explicit": numbers("explicit", 0, np.bool_),
    }


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


def plays(home: Home, item_ids: np.ndarray, content_types: np.ndarray) -> dict[str, Any]:
    """The fields of `Catalogue` that are counted from the log.

    They cost a reading of the whole log, so they are kept beside the features until the next import.
    """
    kept = home.features / "catalogue_plays.npz"
    manifest = read_json(home.data / "manifest.json")
    key = np.array([str(FORMAT), manifest["dataset"], manifest["sha256"], str(len(item_ids))])
    if kept.is_file():
        with np.load(kept) as arrays:
            if np.array_equal(arrays["key"], key):
                return with_markets({name: arrays[name] for name in arrays.files if name != "key"})
    counted = count_plays(home.data, item_ids, content_types)
    home.features.mkdir(parents=True, exist_ok=True)
    with atomic_path(kept) as temporary, temporary.open("wb") as file:
        np.savez(file, key=key, **counted)  # type: ignore[arg-type]  # its stub takes any name for `allow_pickle`
    return with_markets(counted)


def with_markets(counted: dict[str, np.ndarray]) -> dict[str, Any]:
    """The counts, with popularity by the name of its market."""
    markets = counted.pop("markets").tolist()
    return {**counted, "popularity": dict(zip(markets, counted["popularity"], strict=True))}


def count_plays(data: Path, item_ids: np.ndarray, content_types: np.ndarray) -> dict[str, np.ndarray]:
    """Count the plays, likes and adds of an imported log: arrays by name."""
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

    size, types = len(item_ids), sorted({name for name in content_types.tolist() if name})
    of_type, hours = content_types[items], micros // HOUR_MICROSECONDS % 24
    by_hour = [np.bincount(hours[of_type == name], minlength=24) for name in types]

    table = pq.read_table(data / "users.parquet", columns=["user_id", "country"])
    places = pc.index_in(listeners, table["user_id"].combine_chunks())
    countries = np.array(table["country"].combine_chunks().take(places).fill_null("").to_pylist(), str)
    recent = micros > micros.max(initial=0) - POPULAR_DAYS * 24 * HOUR_MICROSECONDS
    of_play = countries[users[recent]]
    markets = ["", *sorted(set(of_play.tolist()) - {""})]
    popularity = [
        np.bincount(items[recent][(of_play == market) | (market == "")], minlength=size) for market in markets
    ]
    similar, similarity = similar_items(users, items, size)
    return {
        "markets": np.array(markets),
        "popularity": np.array(popularity, np.float32),
        "plays_by_hour": np.array(by_hour, np.float32).reshape(len(types), 24).T,
        "similar": similar,
        "similarity": similarity,
    }
