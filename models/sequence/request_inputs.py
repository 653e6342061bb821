"""The model's inputs for requests: from a training table, and in graph from the raw inputs of a signature.

Both fill a row of fixed length from the right: the newest entry is last, and the time and surface of the request are at
the last place only. Items that the catalogue lacks are left out, and earlier entries move up.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf

from models.inputs.arrow_columns import recent_first, seconds
from models.inputs.encoder import Encoder, demand_one_length
from models.inputs.shards import Arrays
from models.inputs.signature_specs import Specs, specs
from models.inputs.vocabulary import Lookup
from models.sequence.histories import within


def history_specs() -> Specs:
    """The raw inputs of a request, by name (`histories.HISTORY_INPUTS`).

    Histories `[b, h]` have the most recent entry first and are padded with '' and 0. Times are in seconds since 1970
    UTC.
    """
    return {
        **specs(["history_items", "history_actions"], [None, None], tf.string),
        **specs(["history_times"], [None, None], tf.int64),
        **specs(["request_ts"], [None], tf.int64),
        **specs(["surface"], [None], tf.string),
    }


def served_requests(
    encoder: Encoder,
    length: int,
    *,
    history_items: tf.Tensor,
    history_actions: tf.Tensor,
    history_times: tf.Tensor,
    request_ts: tf.Tensor,
    surface: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Encode the raw inputs of a signature as the model's inputs, in graph.

    Args:
        encoder: holds the catalogue and the vocabularies.
        length: entries of a row.
        history_items, history_actions, history_times, request_ts, surface: see `history_specs`.

    Returns:
        The inputs that `histories.requests` describes, `[b, length]` each.
    """
    demand_one_length({
        "history_items": history_items, "history_actions": history_actions, "history_times": history_times,
    })  # fmt: skip
    padding = [[0, 0], [0, length]]

    def oldest_first(values: tf.Tensor, empty) -> tf.Tensor:
        recent = tf.pad(values, padding, constant_values=empty)[:, :length]
        recent.set_shape([None, length])
        return tf.reverse(recent, [1])

    item = encoder.catalogue.rows(oldest_first(history_items, ""))
    order = tf.argsort(tf.range(length) + tf.where(item > 0, length, 0), axis=1)  # places without a known item first
    item, time, action = (
        tf.gather(values, order, batch_dims=1)
        for values in (
            item,
            oldest_first(history_times, np.int64(0)),
            encoder.lookups["action"](oldest_first(history_actions, "")),
        )
    )
    present = item > 0
    final = tf.range(length) == length - 1
    return {
        "item": item,
        "action": tf.where(present, action, 0),
        "time": tf.where(present, time, 0),
        "next_time": tf.where(final, request_ts[:, None], 0),
        "next_surface": tf.where(final, encoder.lookups["surface"](surface)[:, None], 0),
        "segment": tf.cast(present | final, tf.int32),
    }


def append(inputs: dict[str, tf.Tensor], row: tf.Tensor, action: tf.Tensor, now: tf.Tensor) -> dict[str, tf.Tensor]:
    """The inputs of a request that follows a play: the entry joins at the right and the oldest entry is dropped.

    Args:
        inputs: inputs of the request before, `[b, length]` each.
        row: rows of the items that were played, int32 `[b]`; 0 adds no entry.
        action: row of the action in its vocabulary, int32 `[]`.
        now: when the play ended and the next request is made, int64 `[b]`, seconds since 1970 UTC.
    """
    last = {
        "item": row,
        "action": tf.where(row > 0, action, 0),
        "time": tf.where(row > 0, now, 0),
        "next_time": now,
        "next_surface": inputs["next_surface"][:, -1],
        "segment": tf.ones_like(row),
    }
    # The request moves to the new last place, so the former last place stays in the segment only if it holds an item.
    past = {**inputs, "segment": tf.cast(inputs["item"] > 0, tf.int32)}
    return {name: tf.concat([values[:, 1:], last[name][:, None]], axis=1) for name, values in past.items()}


def table_requests(table: pa.Table, items: pa.Array, lookups: dict[str, Lookup], length: int) -> Arrays:
    """Encode the rows of a training table, each with its own history, as the model's inputs.

    Args:
        table: `history_items`, `history_actions`, `history_times` (oldest first), `ts` and `surface`.
        items: ids of the catalogue, in the order of its rows from 1.
        lookups: the vocabularies `action` and `surface`.
        length: entries of a row.

    Returns:
        The inputs that `histories.requests` describes, `[n, length]` each.
    """
    rows, columns, entries = recent_first(table["history_items"])
    catalogue_row = pc.fill_null(pc.index_in(entries, items), -1).to_numpy(zero_copy_only=False) + 1
    entry_action = lookups["action"].encode(recent_first(table["history_actions"])[2])
    entry_time = recent_first(table["history_times"])[2].to_numpy()
    kept = (columns < length) & (catalogue_row > 0)
    counts = np.bincount(rows[kept], minlength=table.num_rows)
    places = rows[kept], length - np.repeat(counts, counts) + within(counts)  # oldest first, at the right
    shape = (table.num_rows, length)
    item, action, next_surface, segment = (np.zeros(shape, np.int32) for _ in range(4))
    time, next_time = (np.zeros(shape, np.int64) for _ in range(2))
    item[places], action[places], time[places] = catalogue_row[kept], entry_action[kept], entry_time[kept]
    segment[places] = 1
    segment[:, -1] = 1
    next_surface[:, -1] = lookups["surface"].encode(table["surface"])
    next_time[:, -1] = seconds(table["ts"])
    return {
        "item": item,
        "action": action,
        "time": time,
        "next_time": next_time,
        "next_surface": next_surface,
        "segment": segment,
    }
