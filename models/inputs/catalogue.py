"""What a model knows of its items apart from how they are doing: content, release, where they may be heard.

Items have rows, the same in training, in the index and at serving. Row 0 is nothing; the items follow in the order
of the table, then free rows for items that come later.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from models.inputs.arrow_columns import dense, number
from models.inputs.fingerprints import Fingerprints
from models.inputs.vocabulary import Lookup
from models.saved.index import CODES, EVERYWHERE

ITEM_STRINGS = ("item_id", "creator_id", "content_type", "language")
WORDS, WORD_ROWS = 12, 4096  # words of a text that are read, and rows that they are hashed into
LATER = 1000  # items that can be added to a saved model


class Catalogue(tf.Module):
    """Content of each item by row, in variables, so that items can be added to a saved model.

    Variables: `item_ids` int32 `[rows, 4]` (embedding rows of id, creator, type and language), `words` int32
    `[rows, 12]`, `content` float32 `[rows, genres + 1]` (genre weights, log seconds of duration), `release_ts`
    int64 `[rows]` (seconds since 1970 UTC, 0 if unknown).

    Args:
        lookups: vocabularies by name.
        genres: width of `genre_weights`.
        items: the catalogue; see `columns`.
    """

    def __init__(self, lookups: dict[str, Lookup], genres: int, items: pa.Table) -> None:
        super().__init__()
        self.lookups = {name: lookups[name] for name in ITEM_STRINGS}
        self.genres = genres
        self.known = items["item_id"].combine_chunks()
        self.markets = sorted({m for row in texts(items, "markets").to_pylist() for m in row or []})[:CODES]
        self.fingerprints = Fingerprints.build(self.known.to_pylist(), LATER)
        free = [(1, LATER)]
        padded = {n: np.pad(v, free + [(0, 0)] * (v.ndim - 1)) for n, v in self.columns(items).items()}
        self.item_ids = tf.Variable(padded["item_ids"], trainable=False)
        self.words = tf.Variable(padded["words"], trainable=False)
        self.content = tf.Variable(padded["content"], trainable=False)
        self.release_ts = tf.Variable(padded["release_ts"], trainable=False)

    def columns(self, items: pa.Table) -> dict[str, np.ndarray]:
        """What the variables hold of a table's items.

        Args:
            items: `item_id` and, where known, `creator_id`, `content_type`, `language`, `text`, `genre_weights`,
                `duration_s`, `release_ts`.
        """
        ids = [self.lookups[name].encode(texts(items, name)) for name in ITEM_STRINGS]
        weights = dense(items["genre_weights"], self.genres)
        duration = np.log1p(number(items["duration_s"])) / 8.0
        return {
            "item_ids": np.stack(ids, axis=1),
            "words": words(texts(items, "text")),
            "content": np.concatenate([weights, duration[:, None]], axis=1),
            "release_ts": pc.fill_null(items["release_ts"], 0).to_numpy().astype(np.int64),
        }

    def kinds(self, items: pa.Table) -> np.ndarray:
        """Content types as the index tells them apart, int32 `[n]`: rows of the lookup; 1 beyond those."""
        codes = self.lookups["content_type"].encode(texts(items, "content_type"))
        return np.where(codes > CODES, 1, codes)

    def rights(self, items: pa.Table) -> np.ndarray:
        """A bit for each market where an item may be answered, int64 `[n]`; without a list, everywhere."""
        number = {market: 1 << bit for bit, market in enumerate(self.markets)}
        rows = texts(items, "markets").to_pylist()
        return np.array(
            [EVERYWHERE if row is None else sum(number.get(m, 0) for m in set(row)) for row in rows], np.int64
        )

    def rows(self, ids: tf.Tensor) -> tf.Tensor:
        """Rows of item ids (string, any shape), int32 of the same shape; 0 for unknown ones."""
        return self.fingerprints.rows(ids)

    def encode(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Rows of an Arrow string array `[n]`, int32 `[n]`, as `rows` gives them."""
        return (pc.fill_null(pc.index_in(ids, self.known), -1).to_numpy(zero_copy_only=False) + 1).astype(np.int32)


def texts(items: pa.Table, name: str) -> pa.ChunkedArray:
    """A column that a table may lack: nulls then."""
    return items[name] if name in items.column_names else pa.chunked_array([pa.nulls(items.num_rows, pa.string())])


def words(column: pa.ChunkedArray) -> np.ndarray:
    """The first words of each text as embedding rows, int32 `[n, 12]`; 0 where there is none.

    Words are runs of letters and digits, in lower case, hashed by FarmHash Fingerprint64.
    """
    lowered = pc.utf8_lower(pc.fill_null(column, ""))
    parts = pc.split_pattern_regex(pc.replace_substring_regex(lowered, r"[^\pL\pN]+", " "), " ").combine_chunks()
    lengths = pc.list_value_length(parts).to_numpy()
    flat = pc.list_flatten(parts)
    hashed = 1 + tf.strings.to_hash_bucket_fast(flat.to_numpy(zero_copy_only=False), WORD_ROWS - 1).numpy()
    hashed[pc.equal(flat, "").to_numpy(zero_copy_only=False)] = 0
    out = np.zeros((len(parts), WORDS), np.int32)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = place < WORDS
    out[np.repeat(np.arange(len(parts)), lengths)[kept], place[kept]] = hashed[kept]
    return out
