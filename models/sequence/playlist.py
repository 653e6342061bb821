"""Drawing a playlist inside the SavedModel: each item is drawn given the items before it."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from models.sequence.request_inputs import append

LONGEST = 200  # items of a playlist
COLDEST, HOTTEST = 1e-3, 1e6  # a temperature below COLDEST takes the best item; a temperature above HOTTEST is clipped


def draw_playlist(
    scores_of: Callable[[dict[str, tf.Tensor]], tf.Tensor],
    inputs: dict[str, tf.Tensor],
    request_ts: tf.Tensor,
    durations: tf.Tensor,
    action: tf.Tensor,
    length: tf.Tensor,
    temperature: tf.Tensor,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Draw the items of each playlist one after the other, no item twice.

    After each draw the item counts as played to its end, and the next item is drawn for the moment when it ends.

    Args:
        scores_of: the scores `[b, rows]` of every item after some inputs; -inf for items that are not allowed.
        inputs: inputs of the first request, `[b, length of a row]` each; see `served_requests`.
        request_ts: time of the first request, int64 `[b]`, seconds since 1970 UTC.
        durations: durations of each row of the catalogue, int64 `[rows]`, seconds.
        action: row of the action `play` in its vocabulary, int32 `[]`.
        length: number of items wanted, int32 `[b]`; 200 at most.
        temperature: float32 `[b]`; see `draw`.
        seed: int64 `[b]`; the same seed and request give the same playlist.

    Returns:
        Rows of the items, int32 `[b, max(length, 0)]`; 0 beyond a request's own length and where no item is left.
    """
    steps = tf.clip_by_value(tf.reduce_max(length), 1, LONGEST)
    batch = tf.shape(length)[0]
    drawn = tf.TensorArray(tf.int32, steps, element_shape=[None])

    def step(number, now, inputs, used, drawn):
        scores = scores_of(inputs)
        scores = tf.tensor_scatter_nd_update(
            scores, tf.stack([tf.repeat(tf.range(batch), tf.shape(used)[1]), tf.reshape(used, [-1])], axis=1),
            tf.fill([tf.size(used)], -np.inf),
        )  # fmt: skip
        row = draw(scores, temperature, seed, number)
        allowed = tf.reduce_max(scores, axis=1) > -np.inf
        row = tf.where(allowed & (number < length), row, 0)
        used = tf.concat([used, row[:, None]], axis=1)
        now += tf.gather(durations, row)
        return number + 1, now, append(inputs, row, action, now), used, drawn.write(number, row)

    start = (0, request_ts, inputs, tf.zeros([batch, 1], tf.int32), drawn)
    input_shapes = tf.nest.map_structure(lambda value: value.shape, inputs)
    *_, drawn = tf.while_loop(
        lambda number, *_: number < steps, step, start,
        shape_invariants=(
            tf.TensorShape([]), tf.TensorShape([None]), input_shapes, tf.TensorShape([None, None]), tf.TensorShape(None)
        ),
    )  # fmt: skip
    return tf.transpose(drawn.stack())[:, : tf.maximum(tf.reduce_max(length), 0)]


def draw(scores: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Draw a row for each request from the softmax of its scores divided by the temperature (Gumbel, 1954).

    Args:
        scores: `[b, rows]`.
        temperature: float32 `[b]`; 1 draws as the model expects, and 0 takes the row of the highest score.
        seed: int64 `[b]`.
        number: number of the draw, int32 `[]`; the draws of one seed differ by it.

    Returns:
        int32 `[b]`.
    """

    def noise(request_seed: tf.Tensor) -> tf.Tensor:
        pair = tf.stack([request_seed, tf.cast(number, tf.int64)])
        uniform = tf.random.stateless_uniform([scores.shape[1]], pair, 1e-20, 1.0)
        return -tf.math.log(-tf.math.log(uniform))

    gumbel = tf.map_fn(noise, seed, fn_output_signature=tf.float32)
    scale = tf.where(temperature > COLDEST, tf.minimum(temperature, HOTTEST), 0.0)[:, None]
    return tf.argmax(scores + scale * gumbel, axis=1, output_type=tf.int32)
