"""Adding items to saved models, without training, so that items released after an export can be recommended.

A new item is embedded by its content alone. It has no id embedding and no statistics; the towers are trained for such
items by id dropout (`models.inputs.vocabulary.drop_ids`).
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

from models.inputs.axes import Axes
from models.inputs.catalogue import Catalogue, texts
from models.inputs.encoder import Encoder
from models.inputs.feature_names import AGE, AGE_COLUMNS, ITEM_COUNTS, ITEM_RATES
from models.inputs.fingerprints import NOTHING, Fingerprints
from models.inputs.item_age import age_at_request
from models.inputs.towers import ItemEncoder
from models.saved.card import CARD, FORMAT, read_card
from models.saved.index import Index
from segue.errors import InputError
from segue.files import write_json

EXTRA = Path(CARD).parent  # the folder of the card, the warm-up requests and the codes


def add_items(saved_models: Mapping[str, Path], items: pa.Table, at: datetime, out: Mapping[str, Path]) -> dict:
    """Write copies of SavedModels with further items; an item whose id the models have replaces its old content.

    Either every copy is written with all items or, on an error, no copy is. A replaced item keeps its statistics.

    Args:
        saved_models: folders of the `retrieval`, `ranking` and `sequence` models, exported from one catalogue.
        items: one row an item, as `Catalogue.columns` and `Catalogue.market_bits` take them, and its `title`.
        at: the time for which the items' age is computed in the retrieval model, which keeps it until the next export.
        out: folders of the copies by the same names, which do not exist yet.

    Returns:
        `added`, the ids that were new; `updated`, the ids that the models had; `free`, how many more ids can be added.

    Raises:
        InputError: the models have another format; the genre weights have another width; the card lists no markets
            and the items have some; an id is empty or repeats; or there are more new items than free rows.
    """
    cards = {name: read_card(path) for name, path in saved_models.items()}
    catalogues = {name: encoded(items, card) for name, card in cards.items()}
    loaded = {name: tf.saved_model.load(str(path)) for name, path in saved_models.items()}
    ids = items["item_id"].to_pylist()
    replaced = known_rows(loaded["retrieval"].catalogue, ids) > 0
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
        index, catalogue = Index(loaded[name].index), catalogues[name]
        index_rows = index.add(ids, values, release, catalogue.type_codes(items), catalogue.market_bits(items))
        if (index_rows != rows[name]).any():
            raise InputError(
                f"An item must have one row in the index and the catalogue; in the {name} model the rows differ.",
                "Run `segue run training` to export the model anew.",
            )

    batch = {"at": at.isoformat(), "items": dict(zip(ids, items["title"].to_pylist(), strict=True))}
    for name, model in loaded.items():
        card = {**cards[name], "added": [*cards[name].get("added", []), batch]}
        save_again(model, card, saved_models[name], out[name])
    return {
        "added": [item for item, was_there in zip(ids, replaced, strict=True) if not was_there],
        "updated": [item for item, was_there in zip(ids, replaced, strict=True) if was_there],
        "free": Index(loaded["retrieval"].index).free,
    }


def encoded(items: pa.Table, card: dict) -> Catalogue:
    """A catalogue of the items, encoded as the model with this card encodes them.

    Raises:
        InputError: the model has another format, the genre weights have another width, or the card lists no markets
            and the items have some.
    """
    if card.get("format") != FORMAT:
        raise InputError(
            f"Items can be added to models of format {FORMAT}. The served models have format {card.get('format', 1)}.",
            "Run `segue run training` to export models of this version.",
        )
    axes = Axes(**card["axes"])
    other_widths = {len(row) for row in items["genre_weights"].to_pylist() if row is not None} - {axes.genres}
    if other_widths:
        raise InputError(
            f"The model takes {axes.genres} genre weights an item. Received {max(other_widths)}.",
            "Compute the genre weights with the vocabulary that the model was trained on, or train anew.",
        )
    catalogue = Encoder(axes, items).catalogue
    item_markets = {market for row in texts(items, "markets").to_pylist() for market in row or []}
    if item_markets and "markets" not in card:
        raise InputError(
            "Items with markets need a model whose card lists its markets. This card lists none.",
            "Run `segue run training` to export the model anew.",
        )
    catalogue.markets = card.get("markets", [])  # the bits must mean the same markets as in the served model
    return catalogue


def describe(model: Any, ids: list[str], columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Write the content of items into a loaded model's catalogue: known ids keep their rows, new ids get free rows.

    Args:
        model: a loaded module with a `catalogue`.
        ids: `[n]`.
        columns: the content, as `Catalogue.columns` encodes it, by the names of the catalogue's variables.

    Returns:
        The items' rows, int32 `[n]`.

    Raises:
        InputError: an id is empty or repeats, or there are more new ids than free rows.
    """
    rows = known_rows(model.catalogue, ids)
    free, new = free_rows(model.catalogue), int((rows == 0).sum())
    if new > len(free):
        raise InputError(
            f"The model has {len(free)} free rows for items that are added after its export. Received {new} new ids.",
            "Run `segue run training`, which exports models with free rows again.",
        )
    rows[rows == 0] = free[:new]
    Fingerprints(model.catalogue.fingerprints).add(ids, rows)
    for name, values in columns.items():
        getattr(model.catalogue, name).scatter_update(tf.IndexedSlices(values, rows))
    return rows


def known_rows(catalogue: Any, ids: list[str]) -> np.ndarray:
    """Rows of ids in a loaded catalogue, int32 `[n]`; 0 for unknown ids."""
    return Fingerprints(catalogue.fingerprints).rows(tf.constant(ids, tf.string)).numpy()


def free_rows(catalogue: Any) -> np.ndarray:
    """Rows of a loaded catalogue that hold no item, ascending."""
    state = catalogue.fingerprints
    taken = state.rows_of.numpy()[state.fingerprints.numpy() != NOTHING]
    return np.setdiff1d(np.arange(1, catalogue.release_ts.shape[0], dtype=np.int32), taken)


def static(model: Any, rows: np.ndarray) -> tf.Tensor:
    """Embed rows `[n]` of a loaded model by `ItemEncoder.static`: `[n, dim]`.

    Loading restores the variables of Keras layers but not the layers, so the lookups are rebuilt from the variables.
    """
    layer = model.model.items
    state: Any = SimpleNamespace(
        catalogue=model.catalogue,
        embeddings=[lambda ids, table=table: tf.gather(table.embeddings, ids) for table in layer.embeddings],
        words=SimpleNamespace(built=True, embeddings=layer.words.embeddings),
        content=lambda content: tf.matmul(content, layer.content.kernel),
    )
    return ItemEncoder.static(state, tf.constant(rows))


def statistics(encoded_stats: np.ndarray, release_ts: np.ndarray, at: datetime) -> dict[str, np.ndarray]:
    """Decode the statistics that a ranking model holds and compute the age at `at`.

    Args:
        encoded_stats: rows of the ranking model's `stats` `[n, 7]`; zeros for new items.
        release_ts: int64 `[n]`, seconds since 1970 UTC, 0 if unknown.
        at: the time for which the age is computed.

    Returns:
        `ITEM_STATS` by name, float32 `[n]` each, as `Encoder.encode_item` takes them.
    """
    raw = dict(zip((*ITEM_COUNTS, *ITEM_RATES), encoded_stats[:, :AGE_COLUMNS].T, strict=True))
    raw |= {name: np.expm1(raw[name]) for name in ITEM_COUNTS}
    return {**raw, AGE: age_at_request(release_ts, int(at.timestamp())).numpy()}


def save_again(model: Any, card: dict, path: Path, out: Path) -> None:
    """Save a loaded model with its signatures, a new card, and copies of the other files beside the card in `path`."""
    tf.saved_model.save(model, str(out), signatures=dict(model.signatures))
    shutil.copytree(path / EXTRA, out / EXTRA, dirs_exist_ok=True)
    write_json(out / CARD, card)
