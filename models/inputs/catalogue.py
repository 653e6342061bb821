"""The catalogue inside a model: what does not change of an item from day to day.

An item has one row number, the same in training, in the index and in serving. Row 0 stands for no item. The items
follow in the order of their table, then free rows for items that are added later.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from models.inputs.arrow_columns import dense, number
from models.inputs.feature_names import ITEM_STRINGS
from models.inputs.fingerprints import Fingerprints
from models.inputs.vocabulary import Lookup
from models.saved.index_columns import CODES, EVERYWHERE

WORDS, WORD_ROWS = 12, 4096  # words of a text that are read, and embedding rows that words are hashed into
LATER = 1000  # free rows, so as many items can be added to a saved model
DURATION_SCALE = 8.0  # of the log seconds: a duration of 50 minutes (2980 s) is encoded as 1


class Catalogue(tf.Module):
    """The content of each item by row, held in variables so that items can be added to a saved model.

    Variables: `item_ids` int32 `[rows, 4]` (embedding rows of id, creator, type and language), `words` int32
    `[rows, 12]`, `content` float32 `[rows, genres + 1]` (genre weights, then the scaled log of the duration),
    `release_ts` int64 `[rows]` (seconds since 1970 UTC, 0 if unknown).

    Attributes:
        ids: ids of the items, in the order of their rows from 1.
        markets: the markets that have a bit each, at most 62, sorted.

    Args:
        lookups: vocabularies by name.
        genres: width of `genre_weights`.
        items: the catalogue's table; see `columns`.
    """

    def __init__(self, lookups: dict[str, Lookup], genres: int, items: pa.Table) -> None:
        super().__init__()
        self.lookups = {name: lookups[name] for name in ITEM_STRINGS}
        self.genres = genres
        self.ids = items["item_id"].combine_chunks()
        self.markets = sorted({m for row in texts(items, "markets").to_pylist() for m in row or []})[:CODES]
        self.fingerprints = Fingerprints.build(self.ids.to_pylist(), LATER)
        free = [(1, LATER)]
        padded = {n: np.pad(v, free + [(0, 0)] * (v.ndim - 1)) for n, v in self.columns(items).items()}
        self.item_ids = tf.Variable(padded["item_ids"], trainable=False)
        self.words = tf.Variable(padded["words"], trainable=False)
        self.content = tf.Variable(padded["content"], trainable=False)
        self.release_ts = tf.Variable(padded["release_ts"], trainable=False)

    def columns(self, items: pa.Table) -> dict[str, np.ndarray]:
        """Encode a table's items as rows of the variables, by the variables' names.

        Args:
            items: `item_id`, `genre_weights`, `duration_s` (seconds) and `release_ts` (seconds since 1970 UTC), all
                but the id nullable. `creator_id`, `content_type`, `language` and `text` may be absent.
        """
        ids = [self.lookups[name].encode(texts(items, name)) for name in ITEM_STRINGS]
        weights = dense(items["genre_weights"], self.genres)
        duration = np.log1p(number(items["duration_s"])) / DURATION_SCALE
        return {
            "item_ids": np.stack(ids, axis=1),
            "words": words(texts(items, "text")),
            "content": np.concatenate([weights, duration[:, None]], axis=1),
            "release_ts": pc.fill_null(items["release_ts"], 0).to_numpy().astype(np.int64),
        }

    def type_codes(self, items: pa.Table) -> np.ndarray:
        """The content type of each item as the index stores it, int32 `[n]`.

        The code is the row of the type's vocabulary, which is 0 for null and 1 for a type outside the vocabulary. Types
        beyond the 62nd row have the code 1 too, because the index has 62 bits.
        """
        codes = self.lookups["content_type"].encode(texts(items, "content_type"))
        return np.where(codes > CODES, 1, codes)

    def market_bits(self, items: pa.Table) -> np.ndarray:
        """The markets where each item is available as bits, int64 `[n]`.

        Bit n stands for `markets[n]`. An item whose list of markets is null is available everywhere. A market outside
        `markets` has no bit.
        """
        bits = {market: 1 << bit for bit, market in enumerate(self.markets)}
        rows = texts(items, "markets").to_pylist()
        return np.array(
            [EVERYWHERE if row is None else sum(bits.get(m, 0) for m in set(row)) for row in rows], np.int64
        )

    def rows(self, ids: tf.Tensor) -> tf.Tensor:
        """Rows of item ids (string, any shape), int32 of the same shape; 0 for unknown ids."""
        return self.fingerprints.rows(ids)

    def encode(self, ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Rows of an Arrow string array `[n]`, int32 `[n]`; 0 for unknown ids and nulls."""
        return (pc.fill_null(pc.index_in(ids, self.ids), -1).to_numpy(zero_copy_only=False) + 1).astype(np.int32)


def texts(items: pa.Table, name: str) -> pa.ChunkedArray:
    """A string column of the table; all nulls if the table has no such column."""
    return items[name] if name in items.column_names else pa.chunked_array([pa.nulls(items.num_rows, pa.string())])


def words(column: pa.ChunkedArray) -> np.ndarray:
    """Encode the first 12 words of each text as embedding rows, int32 `[n, 12]`; 0 fills the rest.

    A word is a run of letters and digits in lower case. FarmHash Fingerprint64 hashes it into one of 4095 rows.
    """
    lowered = pc.utf8_lower(pc.fill_null(column, ""))
    parts = pc.split_pattern_regex(pc.replace_substring_regex(lowered, r"[^\pL\pN]+", " "), " ").combine_chunks()
    lengths = pc.list_value_length(parts).to_numpy()
    flat = pc.list_flatten(parts)
    hashed = 1 + tf.strings.to_hash_bucket_fast(flat.to_numpy(zero_copy_only=False), WORD_ROWS - 1).numpy()
    hashed[pc.equal(flat, "").to_numpy(zero_copy_only=False)] = 0
    out = np.zeros((len(parts), WORDS), np.int32)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # of each word in its text
    kept = place < WORDS
    out[np.repeat(np.arange(len(parts)), lengths)[kept], place[kept]] = hashed[kept]
    return out
