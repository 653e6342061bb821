"""What a request may be answered, in the numbers that the index filters by."""

import numpy as np
import tensorflow as tf

from models.inputs.catalogue import Catalogue
from models.inputs.raw_query import Specs, specs
from models.inputs.shards import Arrays

EXCLUDE, INCLUDE = "exclude", "include"
TOP_K = 200  # candidates that are answered if a request does not say
MOST = 1000  # and at most
NO_FILTERS: Arrays = {  # the inputs of a request for candidates that filters nothing
    "k": np.zeros(1, np.int32),
    "content_types": np.full((1, 1), "", object),
    "released_after": np.zeros(1, np.int64),
    "market": np.full(1, "", object),
    "exclude_ids": np.full((1, 1), "", object),
    "heard": np.full(1, "", object),
}


class Filters(tf.Module):
    """Words of a request to numbers of the index.

    Args:
        catalogue: of the model.
        filter_seen: answer nothing of the history unless a request says `include` (films, not songs).
    """

    def __init__(self, catalogue: Catalogue, filter_seen: bool) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.filter_seen = filter_seen
        self.markets = tf.constant(catalogue.markets or [""])

    @staticmethod
    def specs() -> Specs:
        """What a request may say: see `Filters.__call__`."""
        return {
            **specs(["k"], [None], tf.int32),
            **specs(["content_types", "exclude_ids"], [None, None], tf.string),
            **specs(["released_after"], [None], tf.int64),
            **specs(["market", "heard"], [None], tf.string),
        }

    def __call__(
        self,
        *,
        content_types: tf.Tensor,
        released_after: tf.Tensor,
        market: tf.Tensor,
        exclude_ids: tf.Tensor,
        heard: tf.Tensor,
        history_items: tf.Tensor,
        request_ts: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Arguments of `Index.scores` by name.

        Args:
            content_types: the types wanted, string `[b, c]`; all of them if all are ''.
            released_after: seconds since 1970 UTC `[b]`; 0 is no bound.
            market: where it is asked from, string `[b]`; '' is no bound.
            exclude_ids: what not to answer, string `[b, m]`.
            heard: `exclude` or `include` what is in the history, string `[b]`; '' leaves it to the model.
            history_items: string `[b, h]`.
            request_ts: seconds since 1970 UTC `[b]`.
        """
        return {
            "request_ts": request_ts,
            "exclude": tf.concat([self.heard(heard, history_items), self.catalogue.rows(exclude_ids)], axis=1),
            "content_types": self.type_codes(content_types),
            "released_after": released_after,
            "market": self.market_numbers(market),
        }

    def heard(self, wish: tf.Tensor, history: tf.Tensor) -> tf.Tensor:
        """Rows of the history `[b, h]` where it is to be excluded, else 0."""
        drop = tf.equal(wish, EXCLUDE) | (tf.equal(wish, "") & self.filter_seen)
        return tf.where(drop[:, None], self.catalogue.rows(history), 0)

    def type_codes(self, content_types: tf.Tensor) -> tf.Tensor:
        """Types as the index knows them; -1, which no item has, for a type that the model never saw."""
        lookup = self.catalogue.lookups["content_type"]
        codes = lookup(content_types)
        return tf.where(codes == 0, 0, tf.where(codes <= lookup.buckets, -1, codes))

    def market_numbers(self, market: tf.Tensor) -> tf.Tensor:
        """Markets by number from 1; one beyond all for a market that no item names, 0 for none."""
        same = tf.equal(market[:, None], self.markets[None, :])  # [b, markets]
        number = tf.argmax(tf.cast(same, tf.int32), axis=1, output_type=tf.int32) + 1
        return tf.where(tf.equal(market, ""), 0, tf.where(tf.reduce_any(same, axis=1), number, np.int32(2**30)))


def wanted(k: tf.Tensor) -> tf.Tensor:
    """How many each request gets: 200 for 0, and at most 1000."""
    return tf.minimum(tf.where(k > 0, k, TOP_K), MOST)
