"""The sequence SavedModel: the next items by either head, scores of candidates, listener vectors and playlists."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from models.graph_function import graph_function
from models.inputs.catalogue import DURATION_SCALE, LATER
from models.inputs.signature_specs import specs
from models.saved.filters import Filters, candidate_count
from models.saved.index import Index
from models.saved.saved_model import save
from models.sequence.coded import BEAMS, CodedModel
from models.sequence.codes import CODES, Codebook
from models.sequence.playlist import draw_playlist
from models.sequence.request_inputs import history_specs, served_requests
from models.sequence.steering import Steering

PLAYED = "play"  # the action of the items of a playlist


class ServedSequence(tf.Module):
    """Answers the signatures of the sequence model, whose heads share one transformer.

    Args:
        coded: the trained sequence model with its generative head.
        items: the catalogue, in the order of the encoder's catalogue.
        popularity: how often each item is chosen, float `[items]`; the wish for rarer items uses it.
        genres: names of the genre weights, in their order.
        filter_seen: exclude the items of the history by default.
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
            catalogue.type_codes(items),
            catalogue.market_bits(items),
            LATER,
        )
        self.steering = Steering(catalogue, np.pad(popularity, (1, LATER)), genres)

    def encode(self, **history: tf.Tensor) -> dict[str, tf.Tensor]:
        """Encode requests (see `history_specs`) as the model's inputs, `[b, length]` each."""
        return served_requests(self.model.encoder, self.model.config.length, **history)

    def state(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Compute the state after the last entry of encoded requests: `[b, dim]`."""
        embedded = tf.gather(self.index.embeddings, inputs["item"])  # zeros for row 0
        return self.model.state(inputs, embedded)

    def embed(self, **history: tf.Tensor) -> dict[str, tf.Tensor]:
        """Embed listeners: `embedding` `[b, dim]`, whose dot product with an item's vector is the item's score."""
        return {"embedding": self.state(self.encode(**history))}

    def next(self, k, content_types, released_after, market, exclude_ids, heard, **history) -> dict[str, tf.Tensor]:
        """Find the likeliest next items by exact search; arguments and outputs are those of `ServedRetrieval.query`."""
        allowed = self.filters(history, content_types, released_after, market, exclude_ids, heard)
        rows, scores = self.index.search(self.state(self.encode(**history)), candidate_count(k), **allowed)
        return self.index.answer(rows, scores)

    def decode(self, k, content_types, released_after, market, exclude_ids, heard, **history) -> dict[str, tf.Tensor]:
        """Find the likeliest next items by the generative head, with a beam search that only reaches allowed items.

        Arguments and outputs are those of `next`; `scores` are log probabilities. A request gets 200 items at most.
        Items that were added after the export have no codes and are not found.
        """
        allowed = self.filters(history, content_types, released_after, market, exclude_ids, heard)
        state, k = self.state(self.encode(**history)), candidate_count(k)
        allowed_rows = self.index.scores(state, **allowed) > -np.inf  # [b, rows]
        most = tf.reduce_max(k)
        # The number of beams is fixed, so that an answer does not depend on the other requests of the batch.
        rows, scores = self.head.search(state, BEAMS, allowed_rows)
        missing = [[0, 0], [0, tf.maximum(most - tf.shape(rows)[1], 0)]]
        rows = tf.where(tf.range(most)[None, :] < k[:, None], tf.pad(rows, missing)[:, :most], 0)
        return self.index.answer(rows, tf.where(rows > 0, tf.pad(scores, missing)[:, :most], -np.inf))

    def score(self, candidate_ids: tf.Tensor, **history: tf.Tensor) -> dict[str, tf.Tensor]:
        """Score candidates `[b, n]` as `next` does: `scores` `[b, n]`, the lowest float for unknown ids.

        A model with an action head also returns the probability of each action, should the candidate play: one output
        `[b, n]` with the action's name.
        """
        rows = self.catalogue.rows(candidate_ids)
        vectors = tf.gather(self.index.embeddings, rows)  # [b, n, dim]
        state = self.state(self.encode(**history))
        scores = tf.einsum("bnd,bd->bn", vectors, state)
        outputs = {"scores": tf.where(rows > 0, scores, scores.dtype.min)}
        if self.model.done_with is None:
            return outputs
        actions = self.model.actions_of(tf.broadcast_to(state[:, None], tf.shape(vectors)), vectors)
        names = self.model.encoder.lookups["action"].tokens
        return outputs | dict(zip(names, tf.unstack(actions, axis=2), strict=True))

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
        **wishes: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Draw a playlist without repeats, each item given the items before it.

        Args:
            length: number of items, int32 `[b]`; 200 at most.
            temperature: float32 `[b]`; 0 takes the likeliest item, 1 draws as the model expects.
            seed: int64 `[b]`; the same seed and request give the same playlist.
            content_types, released_after, market, exclude_ids, heard: see `Filters.__call__`.
            history_items, history_actions, history_times, request_ts, surface: see `history_specs`.
            wishes: see `Steering.specs`.

        Returns:
            `item_ids` string `[b, max(length, 0)]`; '' beyond a request's own length and where no item is left.
        """
        history = {
            "history_items": history_items,
            "history_actions": history_actions,
            "history_times": history_times,
            "request_ts": request_ts,
            "surface": surface,
        }
        allowed = self.filters(history, content_types, released_after, market, exclude_ids, heard)
        filling = self.index.embeddings.shape[0] - self.catalogue.release_ts.shape[0]  # rows that fill the last group
        offsets = tf.pad(self.steering(**wishes), [[0, 0], [0, filling]])  # [b, rows]
        rows = draw_playlist(
            lambda inputs: self.index.scores(self.state(inputs), **allowed) + offsets,
            self.encode(**history),
            request_ts,
            tf.cast(tf.math.expm1(DURATION_SCALE * self.catalogue.content[:, -1]), tf.int64),
            self.model.encoder.lookups["action"](tf.constant(PLAYED)),
            length,
            temperature,
            seed,
        )
        return {"item_ids": tf.gather(self.index.ids, rows)}


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
    """Write the sequence SavedModel.

    Its signatures are `next` (which is also `serving_default`), `decode`, `score`, `embed` and `generate`.

    Args:
        coded: the trained sequence model with its generative head.
        book: the items' codes; they are written beside the card.
        items: the catalogue as of the push.
        popularity: how often each item is chosen, `[items]`.
        genres: names of the genre weights.
        filter_seen: exclude the items of the history by default.
        lineage: the run and data that the model comes from; it goes into the card.
        path: a folder that does not exist yet.
    """
    module = ServedSequence(coded, items, popularity, genres, filter_seen)
    history, filters = history_specs(), Filters.specs()
    following = graph_function(module.next).get_concrete_function(**history, **filters)
    playlist = {
        **specs(["length"], [None], tf.int32),
        **specs(["temperature"], [None], tf.float32),
        **specs(["seed"], [None], tf.int64),
    }
    playlist_filters = {name: spec for name, spec in filters.items() if name != "k"}
    signatures = {
        "serving_default": following,
        "next": following,
        "decode": graph_function(module.decode).get_concrete_function(**history, **filters),
        "score": graph_function(module.score).get_concrete_function(
            **specs(["candidate_ids"], [None, None], tf.string), **history
        ),
        "embed": graph_function(module.embed).get_concrete_function(**history),
        "generate": graph_function(module.generate).get_concrete_function(
            **playlist, **history, **playlist_filters, **Steering.specs()
        ),
    }
    settings = {"filter_seen": filter_seen, "genres": genres, "collision_rate": book.collision_rate(items.num_rows)}
    save(module, signatures, {**lineage, **settings}, path)
    book.write(path / CODES)
