"""Items that come out after an export: into the saved models that are served, without training.

A new item is what its content says: it has no embedding of its own and no statistics, as the towers learned to expect
of new items from dropped ids (`models.inputs.vocabulary.drop_ids`).
"""

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.inputs.catalogue import Catalogue, texts
from models.inputs.encoder import AGE, AGE_COLUMNS, DAY_SECONDS, ITEM_COUNTS, ITEM_RATES, Axes, Encoder
from models.inputs.fingerprints import NOTHING, Fingerprints
from models.inputs.towers import ItemEncoder
from models.saved.card import CARD, FORMAT, read_card
from models.saved.index import Index
from segue.errors import InputError
from segue.files import write_json

EXTRA = Path(CARD).parent  # beside the card: the warm-up requests, the codes


def add_items(saved_models: Mapping[str, Path], items: pa.Table, at: datetime, out: Mapping[str, Path]) -> dict:
    """Write copies of SavedModels that know further items; an item whose id is known is replaced.

    All items go into all copies or, on an error, no copy is written. A replaced item keeps its statistics.

    Args:
        saved_models: `retrieval`, `ranking` and `sequence`, exported from one catalogue.
        items: one row an item, as `Catalogue.columns` and `Catalogue.rights` take them, and its `title`.
        at: as of when an item's age is taken for retrieval, which keeps it until the next export.
        out: by the same names, folders that do not stand yet.

    Returns:
        `added` and `updated`, the ids that were new and those that were known; `free`, how many more can follow.

    Raises:
        InputError: the models were exported in another format; genre weights of another width; markets that the
            model cannot tell apart; an id that is empty or repeats; or more new items than free rows.
    """
    cards = {name: read_card(path) for name, path in saved_models.items()}
    catalogues = {name: encoded(items, card) for name, card in cards.items()}
    loaded = {name: tf.saved_model.load(str(path)) for name, path in saved_models.items()}
    ids = items["item_id"].to_pylist()
    known = known_rows(loaded["retrieval"].catalogue, ids) > 0
    rows = {name: describe(model, ids, catalogues[name].columns(items)) for name, model in loaded.items()}
    for name in ("retrieval", "ranking"):
        model = loaded[name]
        model.static.scatter_update(tf.IndexedSlices(static(model, rows[name]), rows[name]))

    release = catalogues["retrieval"].columns(items)["release_ts"]
    raw = statistics(loaded["ranking"].stats.numpy()[rows["ranking"]], release, at)
    inputs = {name: tf.constant(values, tf.float32) for name, values in raw.items()}
    embed = loaded["retrieval"].signatures["embed_item"]
    vectors = {"retrieval": embed(item_id=tf.constant(ids), **inputs)["embedding"].numpy()}
    vectors["sequence"] = static(loaded["sequence"], rows["sequence"]).numpy()
    for name, values in vectors.items():
        index = Index(loaded[name].index)
        placed = index.add(ids, values, release, catalogues[name].kinds(items), catalogues[name].rights(items))
        if (placed != rows[name]).any():
            raise InputError(
                f"The index and the catalogue of the {name} model differ in their rows.", "Export it anew."
            )

    batch = {"at": at.isoformat(), "items": dict(zip(ids, items["title"].to_pylist(), strict=True))}
    for name, model in loaded.items():
        card = {**cards[name], "added": [*cards[name].get("added", []), batch]}
        save_again(model, card, saved_models[name], out[name])
    return {
        "added": [item for item, was in zip(ids, known, strict=True) if not was],
        "updated": [item for item, was in zip(ids, known, strict=True) if was],
        "free": Index(loaded["retrieval"].index).free,
    }


def encoded(items: pa.Table, card: dict) -> Catalogue:
    """The items as the model with this card encodes them.

    Raises:
        InputError: see `add_items`.
    """
    if card.get("format") != FORMAT:
        raise InputError(
            f"Items are added to models of format {FORMAT}; the served ones have {card.get('format', 1)}.",
            "Run `segue run training` to export models of this version.",
        )
    axes = Axes(**card["axes"])
    others = {len(row) for row in items["genre_weights"].to_pylist() if row is not None} - {axes.genres}
    if others:
        raise InputError(
            f"The model takes {axes.genres} genre weights an item. Received {max(others)}.",
            "Weigh the genres with the vocabulary that the model was trained on, or train anew.",
        )
    catalogue = Encoder(axes, items).catalogue
    named = {market for row in texts(items, "markets").to_pylist() for market in row or []}
    if named and "markets" not in card:
        raise InputError("The model's card does not say which markets it tells apart.", "Export the model anew.")
    catalogue.markets = card.get("markets", [])  # a market's number is that of the served model
    return catalogue


def describe(model: Any, ids: list[str], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Write what does not change of items into a loaded model's catalogue, into their own rows or free ones.

    Args:
        model: loaded; has a `catalogue`.
        ids: `[n]`.
        columns: what the catalogue is to hold of them, by the names of its variables.

    Returns:
        Their rows, int32 `[n]`.

    Raises:
        InputError: an id is empty or repeats, or there are more new ones than free rows.
    """
    rows = known_rows(model.catalogue, ids)
    free, new = free_rows(model.catalogue), int((rows == 0).sum())
    if new > len(free):
        raise InputError(
            f"The model has {len(free)} rows left for items that come after its export; {new} new ids came.",
            "Run `segue run training`: an export has room again.",
        )
    rows[rows == 0] = free[:new]
    Fingerprints(model.catalogue.fingerprints).add(ids, rows)
    for name, values in columns.items():
        getattr(model.catalogue, name).scatter_update(tf.IndexedSlices(values, rows))
    return rows


def known_rows(catalogue: Any, ids: list[str]) -> np.ndarray:
    """Rows of ids in a loaded catalogue, int32 `[n]`; 0 for unknown ones."""
    return Fingerprints(catalogue.fingerprints).rows(tf.constant(ids, tf.string)).numpy()


def free_rows(catalogue: Any) -> np.ndarray:
    """Rows of a loaded catalogue that hold no item, ascending."""
    state = catalogue.fingerprints
    taken = state.rows_of.numpy()[state.fingerprints.numpy() != NOTHING]
    return np.setdiff1d(np.arange(1, catalogue.release_ts.shape[0], dtype=np.int32), taken)


def static(model: Any, rows: np.ndarray) -> tf.Tensor:
    """`ItemEncoder.static` of rows `[n]` of a loaded model, `[n, dim]`, from the variables that its layers left."""
    layer = model.model.items
    tables = [lambda ids, one=one: tf.gather(one.embeddings, ids) for one in (*layer.embeddings, layer.words)]
    state: Any = SimpleNamespace(
        catalogue=model.catalogue,
        embeddings=tables[:-1],
        words=tables[-1],
        content=lambda content: tf.matmul(content, layer.content.kernel),
    )
    return ItemEncoder.static(state, tf.constant(rows))


def statistics(held: np.ndarray, release_ts: np.ndarray, at: datetime) -> dict[str, np.ndarray]:
    """Raw statistics of items by name, float32 `[n]` each; see `features.ITEM_STATS`.

    Args:
        held: the encoded ones of a ranking model `[n, 7]`; zeros for items that are new.
        release_ts: int64 `[n]`, seconds since 1970 UTC, 0 if unknown.
        at: as of when age is taken.
    """
    raw = dict(zip((*ITEM_COUNTS, *ITEM_RATES), held[:, :AGE_COLUMNS].T, strict=True))
    raw |= {name: np.expm1(raw[name]) for name in ITEM_COUNTS}
    days = np.maximum(int(at.timestamp()) - release_ts, 0) / DAY_SECONDS
    return {**raw, AGE: np.where(release_ts == 0, -1.0, days).astype(np.float32)}


def save_again(model: Any, card: dict, path: Path, out: Path) -> None:
    """Save a loaded model with the signatures that it had, another card, and what else lay beside the one at `path`."""
    tf.saved_model.save(model, str(out), signatures=dict(model.signatures))
    shutil.copytree(path / EXTRA, out / EXTRA, dirs_exist_ok=True)
    write_json(out / CARD, card)
