"""The sequence model's SavedModel: what comes next, by either head; scores, a listener's vector, a whole playlist."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.inputs.catalogue import LATER
from models.inputs.raw_query import Specs, specs
from models.saved.card import CARD
from models.saved.export import save
from models.saved.filters import Filters, wanted
from models.saved.index import Index
from models.sequence.coded import BEAMS, CodedModel
from models.sequence.codes import Codebook
from models.sequence.steering import Steering

PLAYED = "play"  # the action of what a playlist goes on from
CODES = Path(CARD).with_name("codes.npz")  # beside the card: codes that items keep when the model is trained again
LONGEST = 200  # items of a playlist
COLDEST, HOTTEST = 1e-3, 1e6  # temperatures below take the likeliest item; above, any


def history_specs() -> Specs:
    """What a listener did, most recent first, padded with '' and 0, and the moment and surface of the request."""
    return {
        **specs(["history_items", "history_actions"], [None, None], tf.string),
        **specs(["history_times"], [None, None], tf.int64),
        **specs(["request_ts"], [None], tf.int64),
        **specs(["surface"], [None], tf.string),
    }


class ServedSequence(tf.Module):
    """One transformer behind five signatures.

    Args:
        coded: the trained sequence model with its generative head.
        items: the catalogue, in the order of the encoder's.
        popularity: how often each item is chosen, float `[items]`; novelty is steered by it.
        genres: names of the genre weights, in their order.
        filter_seen: answer nothing of the history unless a request says `include`.
    """

    def __init__(
        self, coded: CodedModel, items: pa.Table, popularity: np.ndarray, genres: list[str], filter_seen: bool
    ) -> None:
        super().__init__()
        model = self.model = coded.sequence
        self.head = coded.head
        catalogue = self.catalogue = model.encoder.catalogue
        self.filters = Filters(catalogue, filter_seen)
        rows = np.arange(1, 1 + items.num_rows, dtype=np.int32)
        self.index = Index.build(
            items["item_id"].to_pylist(),
            model.item_vectors(rows).numpy(),
            catalogue.columns(items)["release_ts"],
            catalogue.kinds(items),
            catalogue.rights(items),
            LATER,
        )
        self.steering = Steering(catalogue, np.pad(popularity, (1, LATER)), genres)

    def encode(self, history_items, history_actions, history_times, request_ts, surface) -> dict[str, tf.Tensor]:
        """A request as `histories.requests` makes it in training: `[b, length]` each, oldest first.

        What the model does not know is left out, and the rest moves up: what came last is always at the right.
        """
        length = self.model.config.length
        padding = [[0, 0], [0, length]]

        def last(values: tf.Tensor, empty) -> tf.Tensor:
            cut = tf.pad(values, padding, constant_values=empty)[:, :length]
            cut.set_shape([None, length])
            return tf.reverse(cut, [1])

        item = self.catalogue.rows(last(history_items, ""))
        order = tf.argsort(tf.range(length) + tf.where(item > 0, length, 0), axis=1)  # what is unknown first
        item, time, action = (
            tf.gather(values, order, batch_dims=1)
            for values in (
                item,
                last(history_times, np.int64(0)),
                self.model.encoder.lookups["action"](last(history_actions, "")),
            )
        )
        present = item > 0
        final = tf.range(length) == length - 1
        return {
            "item": item,
            "action": tf.where(present, action, 0),
            "time": tf.where(present, time, 0),
            "next_time": tf.where(final, request_ts[:, None], 0),
            "next_surface": tf.where(final, self.model.encoder.lookups["surface"](surface)[:, None], 0),
            "segment": tf.cast(present | final, tf.int32),
        }

    def state(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """What is expected after the last entry: `[b, dim]`."""
        embedded = tf.gather(self.index.embeddings, inputs["item"])  # row 0 holds nothing: zeros
        return self.model.state(inputs, embedded)

    def embed(self, **history: tf.Tensor) -> dict[str, tf.Tensor]:
        """`embedding` `[b, dim]`; its dot product with an item's vector is the item's score."""
        return {"embedding": self.state(self.encode(**history))}

    def next(self, k, content_types, released_after, market, exclude_ids, heard, **history) -> dict[str, tf.Tensor]:
        """The likeliest next items: `item_ids` and `scores` `[b, k]`, as retrieval answers them."""
        allowed = self.allowed(history, content_types, released_after, market, exclude_ids, heard)
        rows, scores = self.index.search(self.state(self.encode(**history)), wanted(k), **allowed)
        return self.answer(rows, scores)

    def decode(self, k, content_types, released_after, market, exclude_ids, heard, **history) -> dict[str, tf.Tensor]:
        """The same by the generative head: beam search over codes, to none but allowed items; `scores` are log
        probabilities. It finds 200 at most, and none of the items that were added after the export: they have no
        codes."""
        allowed = self.allowed(history, content_types, released_after, market, exclude_ids, heard)
        state, k = self.state(self.encode(**history)), wanted(k)
        may = self.index.scores(state, **allowed) > -np.inf  # [b, rows]
        most = tf.reduce_max(k)
        rows, scores = self.head.search(state, BEAMS, may)  # as many for all, whoever else asks
        beyond = [[0, 0], [0, tf.maximum(most - tf.shape(rows)[1], 0)]]
        rows = tf.where(tf.range(most)[None, :] < k[:, None], tf.pad(rows, beyond)[:, :most], 0)
        return self.answer(rows, tf.where(rows > 0, tf.pad(scores, beyond)[:, :most], -np.inf))

    def allowed(self, history, content_types, released_after, market, exclude_ids, heard) -> dict[str, tf.Tensor]:
        """What a request may be answered, as `Index.scores` takes it."""
        return self.filters(
            content_types=content_types,
            released_after=released_after,
            market=market,
            exclude_ids=exclude_ids,
            heard=heard,
            history_items=history["history_items"],
            request_ts=history["request_ts"],
        )

    def answer(self, rows: tf.Tensor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ids of rows `[b, k]` with their scores: '' and the least float for row 0."""
        return {"item_ids": tf.gather(self.index.ids, rows), "scores": tf.maximum(scores, scores.dtype.min)}

    def score(self, candidate_ids: tf.Tensor, **history: tf.Tensor) -> dict[str, tf.Tensor]:
        """`scores` `[b, n]` of `candidate_ids` `[b, n]`, as `next` has them; the least float for unknown ones.

        A model with an action head tells besides how likely each action is, should the candidate play: `[b, n]` by the
        action's name.
        """
        rows = self.catalogue.rows(candidate_ids)
        vectors = tf.gather(self.index.embeddings, rows)  # [b, n, dim]
        state = self.state(self.encode(**history))
        scores = tf.einsum("bnd,bd->bn", vectors, state)
        found = {"scores": tf.where(rows > 0, scores, scores.dtype.min)}
        if self.model.done_with is None:
            return found
        actions = self.model.actions_of(tf.broadcast_to(state[:, None], tf.shape(vectors)), vectors)
        return found | dict(zip(self.model.encoder.lookups["action"].tokens, tf.unstack(actions, axis=2), strict=True))

    def generate(
        self,
        length,
        temperature,
        seed,
        content_types,
        released_after,
        market,
        exclude_ids,
        heard,
        history_items,
        history_actions,
        history_times,
        request_ts,
        surface,
        **steered: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """A playlist: each item drawn given those before it, none of them twice.

        Args:
            length: items, int32 `[b]`; at most 200.
            temperature: float32 `[b]`; 0 takes the likeliest item, 1 draws as the model expects.
            seed: of the draws, int64 `[b]`; one seed and request give one playlist.
            content_types, released_after, market, exclude_ids, heard: see `Filters`.
            history_items, history_actions, history_times, request_ts, surface: see `history_specs`.
            steered: see `Steering`.

        Returns:
            `item_ids` string `[b, max(length, 0)]`, '' beyond a request's own length and where nothing is left.
        """
        history = {
            "history_items": history_items,
            "history_actions": history_actions,
            "history_times": history_times,
            "request_ts": request_ts,
            "surface": surface,
        }
        allowed = self.allowed(history, content_types, released_after, market, exclude_ids, heard)
        beyond = self.index.embeddings.shape[0] - self.catalogue.release_ts.shape[0]  # rows that make a group whole
        shaping = tf.pad(self.steering(**steered), [[0, 0], [0, beyond]])  # [b, rows]
        inputs = self.encode(**history)
        steps = tf.clip_by_value(tf.reduce_max(length), 1, LONGEST)
        action = self.model.encoder.lookups["action"](tf.constant(PLAYED))
        batch = tf.shape(length)[0]
        lasting = tf.cast(tf.math.expm1(8 * self.catalogue.content[:, -1]), tf.int64)  # seconds, as `Catalogue.columns`
        taken = tf.TensorArray(tf.int32, steps, element_shape=[None])

        def step(number, now, inputs, done, taken):
            scores = self.index.scores(self.state(inputs), **allowed) + shaping
            scores = tf.tensor_scatter_nd_update(
                scores, tf.stack([tf.repeat(tf.range(batch), tf.shape(done)[1]), tf.reshape(done, [-1])], axis=1),
                tf.fill([tf.size(done)], -np.inf),
            )  # fmt: skip
            row = draw(scores, temperature, seed, number)
            found = tf.reduce_max(scores, axis=1) > -np.inf
            row = tf.where(found & (number < length), row, 0)
            done = tf.concat([done, row[:, None]], axis=1)
            now += tf.gather(lasting, row)
            return number + 1, now, self.append(inputs, row, action, now), done, taken.write(number, row)

        start = (0, request_ts, inputs, tf.zeros([batch, 1], tf.int32), taken)
        unknown = tf.nest.map_structure(lambda value: value.shape, inputs)
        *_, taken = tf.while_loop(
            lambda number, *_: number < steps, step, start,
            shape_invariants=(
                tf.TensorShape([]), tf.TensorShape([None]), unknown, tf.TensorShape([None, None]), tf.TensorShape(None)
            ),
        )  # fmt: skip
        rows = tf.transpose(taken.stack())[:, : tf.maximum(tf.reduce_max(length), 0)]
        return {"item_ids": tf.gather(self.index.ids, rows)}

    def append(self, inputs: dict[str, tf.Tensor], row: tf.Tensor, action: tf.Tensor, now: tf.Tensor):
        """The inputs after an item `[b]` was played until `now` `[b]`; row 0 changes nothing that is read."""
        last = {
            "item": row,
            "action": tf.where(row > 0, action, 0),
            "time": tf.where(row > 0, now, 0),
            "next_time": now,
            "next_surface": inputs["next_surface"][:, -1],
            "segment": tf.ones_like(row),
        }
        # What was last is an entry like any other now: without one, it is nothing any more.
        past = {**inputs, "segment": tf.cast(inputs["item"] > 0, tf.int32)}
        return {name: tf.concat([values[:, 1:], last[name][:, None]], axis=1) for name, values in past.items()}


def draw(scores: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """One row of each request by the softmax of its scores over the temperature (Gumbel, 1954): int32 `[b]`."""

    def noise(one: tf.Tensor) -> tf.Tensor:
        uniform = tf.random.stateless_uniform([scores.shape[1]], tf.stack([one, tf.cast(number, tf.int64)]), 1e-20, 1.0)
        return -tf.math.log(-tf.math.log(uniform))

    gumbel = tf.map_fn(noise, seed, fn_output_signature=tf.float32)
    warm = tf.where(temperature > COLDEST, tf.minimum(temperature, HOTTEST), 0.0)[:, None]
    return tf.argmax(scores + warm * gumbel, axis=1, output_type=tf.int32)


def export_sequence(
    coded: CodedModel,
    book: Codebook,
    items: pa.Table,
    popularity: np.ndarray,
    genres: list[str],
    filter_seen: bool,
    lineage: dict,
    path: Path,
) -> None:
    """Write the SavedModel: `serving_default` and `next`, `decode`, `score`, `embed`, `generate`.

    Args:
        coded: the trained sequence model with its generative head.
        book: the items' codes; they lie beside the card.
        items: the catalogue as of the push.
        popularity: how often each item is chosen, `[items]`.
        genres: names of the genre weights.
        filter_seen: answer nothing of the history by default.
        lineage: what it was made from; goes into the model card.
        path: a folder that does not stand yet.
    """
    module = ServedSequence(coded, items, popularity, genres, filter_seen)
    history, filters = history_specs(), Filters.specs()
    following = tf.function(module.next).get_concrete_function(**history, **filters)
    drawn = {
        **specs(["length"], [None], tf.int32),
        **specs(["temperature"], [None], tf.float32),
        **specs(["seed"], [None], tf.int64),
    }
    unlimited = {name: spec for name, spec in filters.items() if name != "k"}
    signatures = {
        "serving_default": following,
        "next": following,
        "decode": tf.function(module.decode).get_concrete_function(**history, **filters),
        "score": tf.function(module.score).get_concrete_function(
            **specs(["candidate_ids"], [None, None], tf.string), **history
        ),
        "embed": tf.function(module.embed).get_concrete_function(**history),
        "generate": tf.function(module.generate).get_concrete_function(
            **drawn, **history, **unlimited, **Steering.specs()
        ),
    }
    known = {"filter_seen": filter_seen, "genres": genres, "collision_rate": book.collision_rate(items.num_rows)}
    save(module, signatures, {**lineage, **known}, path)
    book.write(path / CODES)
