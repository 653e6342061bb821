"""Steering a playlist: the wishes of a request, such as more jazz or newer items, as offsets of the scores."""

import numpy as np
import tensorflow as tf

from models.inputs.catalogue import Catalogue
from models.inputs.signature_specs import Specs, specs

NAMED = ("genres", "creators", "types")
YEAR_SECONDS = 31_556_952
# The largest weight of a wish, e^50 times as likely. In float32 a much larger offset would round away the scores that
# order the wished items.
STRONGEST = 50.0


class Steering(tf.Module):
    """Turns wishes into offsets of the scores, `[b, rows]`.

    An item of a wished genre, creator or type gets the weight of the wish: a weight of 1 makes the item e times as
    likely compared with other items, and -1 makes it e times less likely. The wishes `newer` and `rarer` are graded:
    their weight is multiplied by the item's release, in decades from the catalogue's mean, and by its rarity, in
    standard deviations of the log popularity.

    Args:
        catalogue: the model's catalogue.
        popularity: how often each row is chosen, float `[rows]`.
        genres: names of the genre weights, in their order.
    """

    def __init__(self, catalogue: Catalogue, popularity: np.ndarray, genres: list[str]) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.genres = tf.constant(genres or [""])
        release = catalogue.release_ts.numpy()
        stated = release[release != 0]
        self.mean_release = tf.Variable(stated.mean() if len(stated) else 0.0, trainable=False, dtype=tf.float64)
        rarity = -np.log1p(popularity)
        exported = rarity[: 1 + len(catalogue.ids)]
        # Items that are added later have no choices yet, so they are among the rarest.
        rare = (rarity - exported.mean()) / (exported.std() or 1.0)
        self.rare = tf.Variable(rare.astype(np.float32), trainable=False)

    @staticmethod
    def specs() -> Specs:
        """The inputs of a steered request, by name.

        `more_genres`, `more_creators` and `more_types` are strings `[b, s]`, and `more_*_weights` floats `[b, s]`, one
        weight for each name. `newer` and `rarer` are weights, float `[b]`.
        """
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
        """Compute the offsets of the scores, float32 `[b, rows]`, from the inputs that `specs` describes.

        Unknown names add nothing. Weights are clipped to -50 and 50, and nan counts as 0.
        """
        weights = self.genre_weights(more_genres, bounded(more_genres_weights))  # [b, genres]
        offsets = tf.matmul(weights, tf.cast(self.catalogue.content[:, : self.catalogue.genres] > 0, tf.float32),
                            transpose_b=True)  # fmt: skip
        ids = self.catalogue.item_ids
        offsets += self.of_ids("creator_id", ids[:, 1], more_creators, bounded(more_creators_weights))
        offsets += self.of_ids("content_type", ids[:, 2], more_types, bounded(more_types_weights))
        return offsets + bounded(newer)[:, None] * self.era() + bounded(rarer)[:, None] * self.rare

    def era(self) -> tf.Tensor:
        """Decades from the catalogue's mean release to each item's release, float32 `[rows]`; 0 if it is unknown."""
        release = self.catalogue.release_ts  # read in graph, so that items added later have their own
        decades = (tf.cast(release, tf.float64) - self.mean_release) / (10 * YEAR_SECONDS)
        return tf.cast(tf.where(release == 0, tf.zeros_like(decades), decades), tf.float32)

    def genre_weights(self, names: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Sum the weights of wishes by genre, `[b, genres]`.

        Args:
            names: genres that are wished for, string `[b, s]`; '' and unknown names add nothing.
            weights: weights of the wishes, `[b, s]`.
        """
        same = tf.cast(names[:, :, None] == self.genres, tf.float32) * tf.cast(names != "", tf.float32)[:, :, None]
        sums = tf.einsum("bsg,bs->bg", same, weights)
        width = self.catalogue.genres
        return tf.pad(sums, [[0, 0], [0, max(0, width - self.genres.shape[0])]])[:, :width]

    def of_ids(self, name: str, codes: tf.Tensor, ids: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Sum the weights of the wishes that each item meets, `[b, rows]`.

        Args:
            name: name of the vocabulary: `creator_id` or `content_type`.
            codes: each item's row of this vocabulary, `[rows]`.
            ids: creators or types that are wished for, string `[b, s]`.
            weights: weights of the wishes, `[b, s]`.
        """
        lookup = self.catalogue.lookups[name]
        wished = lookup(ids)  # [b, s]
        in_vocabulary = tf.cast(wished > lookup.buckets, tf.float32)  # unknown ids share rows, so they must not match
        return tf.reduce_sum(
            tf.cast(wished[:, :, None] == codes, tf.float32) * (in_vocabulary * weights)[:, :, None], axis=1
        )


def bounded(weights: tf.Tensor) -> tf.Tensor:
    """Clip weights to -50 and 50 and turn nan into 0, because an infinite weight would make all scores nan."""
    return tf.clip_by_value(tf.where(tf.math.is_nan(weights), 0.0, weights), -STRONGEST, STRONGEST)
