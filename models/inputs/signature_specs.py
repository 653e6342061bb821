"""The raw inputs of the saved models' signatures, as tensor specs by name."""

from collections.abc import Iterable

import tensorflow as tf

from models.inputs.axes import Axes
from models.inputs.feature_names import ITEM_STATS, QUERY_NUMBERS, QUERY_STRINGS

Specs = dict[str, tf.TensorSpec]


def query_specs(axes: Axes) -> Specs:
    """The inputs that describe a query, by name.

    Histories `[b, h]` have the most recent entry first and are padded with '' and 0. Times are in seconds since 1970
    UTC.
    """
    return {
        **specs(["history_items", "history_actions"], [None, None], tf.string),
        **specs(["history_times"], [None, None], tf.int64),
        **specs(["request_ts"], [None], tf.int64),
        **specs(QUERY_STRINGS, [None], tf.string),
        **specs(QUERY_NUMBERS, [None], tf.float32),
        **specs(["genre_shares"], [None, axes.genres], tf.float32),
        **specs(["content_type_shares"], [None, axes.content_types], tf.float32),
    }


def item_specs() -> Specs:
    """The inputs that describe items, by name: ids and statistics, each `[n]`.

    The catalogue inside the model holds the rest, such as genres and creators.
    """
    return {**specs(["item_id"], [None], tf.string), **specs(ITEM_STATS, [None], tf.float32)}


def specs(names: Iterable[str], shape: list, dtype: tf.DType) -> Specs:
    """Tensor specs of one shape and type, by name."""
    return {name: tf.TensorSpec(shape, dtype, name) for name in names}
