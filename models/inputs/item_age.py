"""The age of an item at a request, and how models read it.

A training set states the age in a column. A served model computes it from the release in its catalogue and the time of
the request. Both follow one rule: days from the release to the request, 0 before the release, -1 where the release is
unknown.
"""

import numpy as np
import tensorflow as tf

from models.inputs.feature_names import UNKNOWN_AGE

DAY_SECONDS = 86_400
LOG_SCALE = 8.0  # log(1 + 2980 days) is 8, so an item of eight years is encoded as about 1


def age_at_request(release_ts: tf.Tensor | np.ndarray, request_ts: tf.Tensor | int) -> tf.Tensor:
    """Days from release to request: 0 before the release, -1 where it is unknown.

    Args:
        release_ts: int64, seconds since 1970 UTC, 0 if unknown.
        request_ts: int64, seconds since 1970 UTC, of a shape that broadcasts with `release_ts`.

    Returns:
        float32 of the broadcast shape.
    """
    days = tf.cast(tf.maximum(request_ts - release_ts, 0), tf.float32) / DAY_SECONDS
    return tf.where(release_ts == 0, UNKNOWN_AGE, days)


def encode_age(age_days: tf.Tensor | np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Encode ages in days as model inputs, two float32 tensors of their shape.

    Returns:
        log(1 + days) / 8, which is 0 for an unknown age, and a flag: 1 where the age is known, else 0.
    """
    is_known = tf.cast(age_days >= 0, tf.float32)
    return tf.math.log1p(tf.maximum(age_days, 0.0)) / LOG_SCALE, is_known
