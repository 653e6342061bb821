"""More or less of something in a playlist: what is added to the scores before an item is drawn."""

import numpy as np
import tensorflow as tf

from models.inputs.catalogue import Catalogue
from models.inputs.raw_query import Specs, specs

NAMED = ("genres", "creators", "types")
YEAR_SECONDS = 31_556_952
STRONGEST = 50.0  # of a wish: e^50 times as likely; more would drown what the listener likes among what is wished


class Steering(tf.Module):
    """Wishes to score offsets, `[b, rows]`.

    An item of a wished genre, creator or type gains the wish's weight: a weight of 1 makes it e times as likely
    against one without, a weight of -1 as much less so. The era and novelty are graded: an item's release, in
    decades from the catalogue's mean, and how seldom it is chosen, in standard deviations of the logarithm.

    Args:
        catalogue: of the model.
        popularity: how often each row is chosen, float `[rows]`.
        genres: names of the genre weights, in their order.
    """

    def __init__(self, catalogue: Catalogue, popularity: np.ndarray, genres: list[str]) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.genres = tf.constant(genres or [""])
        release = catalogue.release_ts.numpy()
        known = release[release != 0]
        self.mean_release = tf.Variable(known.mean() if len(known) else 0.0, trainable=False, dtype=tf.float64)
        seldom = -np.log1p(popularity)
        present = seldom[: 1 + len(catalogue.known)]
        # What comes later was never chosen yet: nothing is as rare.
        rare = (seldom - present.mean()) / (present.std() or 1.0)
        self.rare = tf.Variable(rare.astype(np.float32), trainable=False)

    @staticmethod
    def specs() -> Specs:
        """`more_{genres,creators,types}` string and their `_weights` float `[b, s]`; `newer`, `rarer` float `[b]`."""
        names = [f"more_{name}" for name in NAMED]
        return {
            **specs(names, [None, None], tf.string),
            **specs([f"{name}_weights" for name in names], [None, None], tf.float32),
            **specs(["newer", "rarer"], [None], tf.float32),
        }

    def __call__(
        self,
        *,
        more_genres: tf.Tensor,
        more_genres_weights: tf.Tensor,
        more_creators: tf.Tensor,
        more_creators_weights: tf.Tensor,
        more_types: tf.Tensor,
        more_types_weights: tf.Tensor,
        newer: tf.Tensor,
        rarer: tf.Tensor,
    ) -> tf.Tensor:
        """Offsets of the scores, float32 `[b, rows]`; see `specs`. What nothing is called counts nothing.

        A weight beyond 50 is 50, and one that is no number none.
        """
        weights = self.genre_weights(more_genres, bounded(more_genres_weights))  # [b, genres]
        offsets = tf.matmul(weights, tf.cast(self.catalogue.content[:, : self.catalogue.genres] > 0, tf.float32),
                            transpose_b=True)  # fmt: skip
        ids = self.catalogue.item_ids
        offsets += self.of_ids("creator_id", ids[:, 1], more_creators, bounded(more_creators_weights))
        offsets += self.of_ids("content_type", ids[:, 2], more_types, bounded(more_types_weights))
        return offsets + bounded(newer)[:, None] * self.era() + bounded(rarer)[:, None] * self.rare

    def era(self) -> tf.Tensor:
        """Decades from the catalogue's mean release, of items that are added too, `[rows]`; 0 if it is not known."""
        release = self.catalogue.release_ts
        decades = (tf.cast(release, tf.float64) - self.mean_release) / (10 * YEAR_SECONDS)
        return tf.cast(tf.where(release == 0, tf.zeros_like(decades), decades), tf.float32)

    def genre_weights(self, names: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Weights by genre, `[b, genres]`."""
        same = tf.cast(names[:, :, None] == self.genres, tf.float32) * tf.cast(names != "", tf.float32)[:, :, None]
        found = tf.einsum("bsg,bs->bg", same, weights)
        width = self.catalogue.genres
        return tf.pad(found, [[0, 0], [0, max(0, width - self.genres.shape[0])]])[:, :width]

    def of_ids(self, name: str, codes: tf.Tensor, wished: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """What items `[rows]` with one of the wished ids gain, `[b, rows]`."""
        lookup = self.catalogue.lookups[name]
        rows = lookup(wished)  # [b, s]; the model never saw what is in an out-of-vocabulary row
        real = tf.cast(rows > lookup.buckets, tf.float32) * weights
        return tf.reduce_sum(tf.cast(rows[:, :, None] == codes, tf.float32) * real[:, :, None], axis=1)


def bounded(weights: tf.Tensor) -> tf.Tensor:
    """Weights within what scores can take: an infinite one would make all items not a number."""
    return tf.clip_by_value(tf.where(tf.math.is_nan(weights), 0.0, weights), -STRONGEST, STRONGEST)
