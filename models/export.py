"""SavedModels: everything that serving needs is inside, and the signatures are the contract."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from events.schema import HEADS
from models.features import DAY_SECONDS, request_dense
from models.lookup import Lookup
from models.ranking import RankingModel
from models.raw import item_specs, query_specs, raw_item, specs
from models.retrieval import RetrievalModel
from models.training import Arrays
from segue.files import read_json, write_json

TOP_K = 200  # candidates that retrieval answers
CARD = "assets.extra/segue.json"  # TF Serving leaves `assets.extra` alone


class Catalogue(tf.Module):
    """The items as a model serves them: ids, encoded features, release times. Row 0 is unknown.

    Args:
        model: whose encoder encodes the items.
        items: one row an item, with the item columns of a training table and `release_ts`.
    """

    def __init__(self, model: RetrievalModel | RankingModel, items: pa.Table) -> None:
        super().__init__()
        encoder = model.encoder
        ids = items["item_id"].to_pylist()
        self.lookup = Lookup(ids, 1)
        self.ids = tf.constant(["", *ids], tf.string)
        raw = {n: tf.constant(v) for n, v in raw_item(items, encoder.axes).items()}
        raw = {n: tf.pad(v, [[1, 0]] + [[0, 0]] * (len(v.shape) - 1)) for n, v in raw.items()}
        encoded = encoder.encode_item(raw)
        self.item_ids = tf.Variable(encoded["item_ids"], trainable=False)
        self.item_dense = tf.Variable(encoded["item_dense"], trainable=False)
        self.genre_weights = tf.Variable(raw["genre_weights"], trainable=False)
        release = np.concatenate([[0], items["release_ts"].fill_null(0).to_numpy()]).astype(np.int64)
        self.release_ts = tf.Variable(release, trainable=False)

    def rows(self, ids: tf.Tensor) -> tf.Tensor:
        """Rows of item ids, 0 for unknown ones; any shape."""
        return tf.maximum(self.lookup(ids) - 1, 0)


class ServedRetrieval(tf.Module):
    """Query to the ids and scores of the best items, most relevant first.

    Args:
        model: the trained towers.
        items: the catalogue with its statistics as of the push.
        filter_seen: never answer what is in the history (films, not songs).
    """

    def __init__(self, model: RetrievalModel, items: pa.Table, filter_seen: bool) -> None:
        super().__init__()
        self.model = model
        self.catalogue = Catalogue(model, items)
        self.filter_seen = filter_seen
        encoded = {"item_ids": self.catalogue.item_ids, "item_dense": self.catalogue.item_dense}
        self.index = tf.Variable(model.embed_item(encoded), trainable=False)  # [items + 1, dim]
        self.k = min(TOP_K, items.num_rows)

    def query(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Exact search: `item_ids` `[b, k]` ('' where candidates ran out) and `scores` `[b, k]`."""
        scores = tf.matmul(self.embed_query(**raw)["embedding"], self.index, transpose_b=True)
        allowed = self.catalogue.release_ts[None, :] <= raw["request_ts"][:, None]  # [b, items + 1]
        allowed &= tf.range(tf.shape(scores)[1])[None, :] > 0
        scores = tf.where(allowed, scores, -np.inf)
        if self.filter_seen:
            rows = self.catalogue.rows(raw["history_items"])  # [b, h]
            batch = tf.repeat(tf.range(tf.shape(rows)[0])[:, None], tf.shape(rows)[1], axis=1)
            places = tf.reshape(tf.stack([batch, rows], axis=2), [-1, 2])
            scores = tf.tensor_scatter_nd_min(scores, places, tf.fill([tf.shape(places)[0]], -np.inf))
        top = tf.math.top_k(scores, self.k)
        ids = tf.gather(self.catalogue.ids, top.indices)
        return {"item_ids": tf.where(tf.math.is_finite(top.values), ids, ""), "scores": top.values}

    def embed_query(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """`embedding` `[b, dim]`."""
        return {"embedding": self.model.embed_query(self.model.encoder.encode_query(raw))}

    def embed_item(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """`embedding` `[n, dim]`."""
        return {"embedding": self.model.embed_item(self.model.encoder.encode_item(raw))}


class ServedRanking(tf.Module):
    """Candidates to one probability a head and the reward that combines them.

    Args:
        model: the trained heads.
        items: the catalogue with its statistics as of the push.
        reward: weight of each head.
    """

    def __init__(self, model: RankingModel, items: pa.Table, reward: dict[str, float]) -> None:
        super().__init__()
        self.model = model
        self.catalogue = Catalogue(model, items)
        self.reward = {head: float(reward[head]) for head in HEADS}

    def answer(self, logits: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Probabilities by head and their weighted sum `reward`, in the logits' shape."""
        out = {head: tf.sigmoid(value) for head, value in logits.items()}
        return {**out, "reward": tf.add_n([self.reward[head] * out[head] for head in HEADS])}

    def rank(self, candidate_ids: tf.Tensor, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Score `candidate_ids` `[b, n]` with the items inside the model: each output `[b, n]`."""
        inputs = self.model.encoder.encode_query(raw)
        rows = self.catalogue.rows(candidate_ids)  # [b, n]
        own = self.model.encoder.lookups["item_id"](candidate_ids)
        item_ids = tf.concat([own[..., None], tf.gather(self.catalogue.item_ids, rows)[..., 1:]], axis=2)
        item = self.model.items(item_ids, tf.gather(self.catalogue.item_dense, rows))  # [b, n, dim]
        affinity = tf.einsum("bng,bg->bn", tf.gather(self.catalogue.genre_weights, rows), raw["genre_shares"])
        release = tf.gather(self.catalogue.release_ts, rows)
        days = tf.cast(tf.maximum(raw["request_ts"][:, None] - release, 0), tf.float32) / DAY_SECONDS
        request = request_dense(affinity, tf.where(release == 0, -1.0, days))
        present = tf.cast(inputs["history"] > 0, tf.float32)
        return self.answer(self.model.score(self.model.describe_query(inputs), present, item, request))

    def score(self, genre_affinity, age_at_request_days, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Score one candidate an example from explicit features: each output `[b]`."""
        inputs = {**self.model.encoder.encode_query(raw), **self.model.encoder.encode_item(raw)}
        inputs["request"] = request_dense(genre_affinity, age_at_request_days)
        return self.answer(self.model(inputs))


def export_retrieval(model: RetrievalModel, items: pa.Table, filter_seen: bool, lineage: dict, path: Path) -> None:
    """Write the retrieval SavedModel: `serving_default`, `embed_query`, `embed_item`.

    Args:
        model: the trained towers.
        items: the catalogue as of the push.
        filter_seen: never answer what is in the history.
        lineage: what it was made from; goes into the model card.
        path: a folder that does not stand yet.
    """
    module = ServedRetrieval(model, items, filter_seen)
    query, item = query_specs(model.encoder.axes), item_specs(model.encoder.axes)
    signatures = {
        "serving_default": tf.function(module.query).get_concrete_function(**query),
        "embed_query": tf.function(module.embed_query).get_concrete_function(**query),
        "embed_item": tf.function(module.embed_item).get_concrete_function(**item),
    }
    save(module, signatures, {**lineage, "filter_seen": filter_seen}, path)


def export_ranking(model: RankingModel, items: pa.Table, reward: dict[str, float], lineage: dict, path: Path) -> None:
    """Write the ranking SavedModel: `serving_default` (candidate ids) and `score` (explicit features).

    Args:
        model: the trained heads.
        items: the catalogue as of the push.
        reward: weight of each head.
        lineage: what it was made from; goes into the model card.
        path: a folder that does not stand yet.
    """
    module = ServedRanking(model, items, reward)
    query, item = query_specs(model.encoder.axes), item_specs(model.encoder.axes)
    candidates = specs(["candidate_ids"], [None, None], tf.string)
    pair = specs(["genre_affinity", "age_at_request_days"], [None], tf.float32)
    signatures = {
        "serving_default": tf.function(module.rank).get_concrete_function(**query, **candidates),
        "score": tf.function(module.score).get_concrete_function(**query, **item, **pair),
    }
    save(module, signatures, {**lineage, "reward": module.reward}, path)


def save(module: ServedRetrieval | ServedRanking, signatures: dict, card: dict, path: Path) -> None:
    """Save a module and, beside it, the card that says what its inputs mean and what it came from."""
    tf.get_logger().setLevel("ERROR")  # Keras warns that it cannot rebuild its layers; nobody asks it to
    tf.saved_model.save(module, str(path), signatures=signatures)
    write_json(Path(path) / CARD, {**card, "axes": module.model.encoder.axes.to_dict()})


def read_card(saved_model: Path) -> dict:
    """The card of a SavedModel: `axes`, `dataset`, `run_id` and what else its lineage says."""
    return read_json(Path(saved_model) / CARD)


def call(signature, arrays: Arrays) -> Arrays:
    """Call a loaded signature with arrays; strings come as object arrays."""
    outputs = signature(**{name: tf.constant(value) for name, value in arrays.items()})
    return {name: value.numpy() for name, value in outputs.items()}
