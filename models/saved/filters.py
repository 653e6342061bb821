"""The filters of a request, from the strings of a signature to the numbers that the index compares."""

import numpy as np
import tensorflow as tf

from models.inputs.catalogue import Catalogue
from models.inputs.signature_specs import Specs, specs

EXCLUDE, INCLUDE = "exclude", "include"
# Candidates of a request whose `k` is 0. Both models promise this number to every client, so it does not follow the
# length of the lists that Segue's own recommender ranks (`segue.candidates`).
DEFAULT_K = 200
MOST = 1000  # candidates of any request
UNKNOWN_MARKET = np.int32(2**30)  # a number above every market's


class Filters(tf.Module):
    """Translates the filters of a request into the arguments of `Index.scores`.

    Clients name markets, types and items; the index compares bits and rows.

    Args:
        catalogue: the model's catalogue.
        filter_seen: whether items of the history are left out by default (films are, songs are not).
    """

    def __init__(self, catalogue: Catalogue, filter_seen: bool) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.filter_seen = filter_seen
        self.markets = tf.constant(catalogue.markets or [""])

    @staticmethod
    def specs() -> Specs:
        """The inputs of a request for candidates, by name: `k` int32 `[b]` and the filters of `__call__`."""
        return {
            **specs(["k"], [None], tf.int32),
            **specs(["content_types", "exclude_ids"], [None, None], tf.string),
            **specs(["released_after"], [None], tf.int64),
            **specs(["market", "heard"], [None], tf.string),
        }

    def __call__(
        self,
        query: dict[str, tf.Tensor],
        content_types: tf.Tensor,
        released_after: tf.Tensor,
        market: tf.Tensor,
        exclude_ids: tf.Tensor,
        heard: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Translate filters into arguments of `Index.scores`, by name.

        Args:
            query: the listener's inputs by name; only `history_items` (ids, string `[b, h]`) and `request_ts` (seconds
                since 1970 UTC, int64 `[b]`) are read.
            content_types: the types to answer, string `[b, c]`; all types if all entries are ''.
            released_after: the earliest release, seconds since 1970 UTC, int64 `[b]`; 0 sets no bound.
            market: the listener's market, string `[b]`; '' sets no bound.
            exclude_ids: ids of items to leave out, string `[b, m]`; '' leaves out nothing.
            heard: `exclude` or `include` the items of the history, string `[b]`; '' takes the model's default.
        """
        heard_rows = self.excluded_history(heard, query["history_items"])
        return {
            "request_ts": query["request_ts"],
            "exclude": tf.concat([heard_rows, self.catalogue.rows(exclude_ids)], axis=1),
            "content_types": self.type_codes(content_types),
            "released_after": released_after,
            "market": self.market_numbers(market),
        }

    def excluded_history(self, heard: tf.Tensor, history_items: tf.Tensor) -> tf.Tensor:
        """Rows of the history's items where the request excludes them, else 0: int32 `[b, h]`."""
        excluded = tf.equal(heard, EXCLUDE) | (tf.equal(heard, "") & self.filter_seen)
        return tf.where(excluded[:, None], self.catalogue.rows(history_items), 0)

    def type_codes(self, content_types: tf.Tensor) -> tf.Tensor:
        """Codes of content types `[b, c]` in the index: 0 for '', and -1, which no item has, for an unknown type."""
        lookup = self.catalogue.lookups["content_type"]
        codes = lookup(content_types)
        return tf.where(codes == 0, 0, tf.where(codes <= lookup.buckets, -1, codes))

    def market_numbers(self, market: tf.Tensor) -> tf.Tensor:
        """Numbers of markets `[b]`, from 1: 0 for '', and `UNKNOWN_MARKET` for a market that no item names."""
        same = tf.equal(market[:, None], self.markets[None, :])  # [b, markets]
        number = tf.argmax(tf.cast(same, tf.int32), axis=1, output_type=tf.int32) + 1
        return tf.where(tf.equal(market, ""), 0, tf.where(tf.reduce_any(same, axis=1), number, UNKNOWN_MARKET))


def candidate_count(k: tf.Tensor) -> tf.Tensor:
    """The number of candidates that each request gets, from its `k` `[b]`: 200 for 0, and 1000 at most."""
    return tf.minimum(tf.where(k > 0, k, DEFAULT_K), MOST)
