"""SavedModels: everything that serving needs is inside, and the signatures are the contract."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from events.schema import HEADS, LISTEN
from models.inputs.catalogue import LATER
from models.inputs.encoder import AGE, AGE_COLUMNS, DAY_SECONDS, item_stats, request_dense
from models.inputs.raw_query import item_specs, query_specs, specs
from models.inputs.shards import Arrays
from models.ranking.model import CHOICE, RankingModel
from models.retrieval.model import RetrievalModel, embed_in_blocks
from models.saved.card import CARD, FORMAT
from models.saved.filters import Filters, wanted
from models.saved.index import Index
from segue.files import write_json

LIFT_FLOOR = 1e-9


class ServedRetrieval(tf.Module):
    """Query to the ids and scores of the best items, most relevant first.

    Args:
        model: the trained towers.
        items: the catalogue with its statistics as of the push, in the order of the encoder's.
        filter_seen: answer nothing of the history unless a request says `include` (films, not songs).
    """

    def __init__(self, model: RetrievalModel, items: pa.Table, filter_seen: bool) -> None:
        super().__init__()
        self.model = model
        catalogue = self.catalogue = model.encoder.catalogue
        self.filters = Filters(catalogue, filter_seen)
        encoded = model.encoder.item_table(items)
        self.index = Index.build(
            items["item_id"].to_pylist(),
            embed_in_blocks(model, encoded["item"], encoded["item_stats"]),
            catalogue.columns(items)["release_ts"],
            catalogue.kinds(items),
            catalogue.rights(items),
            LATER,
        )
        self.static = tf.Variable(static_vectors(model), trainable=False)  # [rows, dim]

    def query(
        self, k, content_types, released_after, market, exclude_ids, heard, **raw: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Exact search: `item_ids` and `scores` `[b, k]`; '' and the least float where candidates ran out.

        Args:
            k: how many, int32 `[b]`; 0 is 200, more than 1000 are 1000.
            content_types, released_after, market, exclude_ids, heard: see `Filters`.
            raw: the query.
        """
        allowed = self.filters(
            content_types=content_types,
            released_after=released_after,
            market=market,
            exclude_ids=exclude_ids,
            heard=heard,
            history_items=raw["history_items"],
            request_ts=raw["request_ts"],
        )
        rows, scores = self.index.search(self.embed_query(**raw)["embedding"], wanted(k), **allowed)
        # JSON knows no infinity, and infra validation refuses it.
        return {"item_ids": tf.gather(self.index.ids, rows), "scores": tf.maximum(scores, scores.dtype.min)}

    def embed_query(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """`embedding` `[b, dim + 1]`."""
        inputs = self.model.encoder.encode_query(raw)
        return {"embedding": self.model.embed_query(inputs, tf.gather(self.static, inputs["history"]))}

    def embed_item(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """`embedding` `[n, dim + 1]` of items of the catalogue, their statistics given."""
        inputs = self.model.encoder.encode_item(raw)
        vectors = self.model.embed_item(self.content(inputs["item"]), inputs["item_stats"])
        return {"embedding": self.model.boosted(vectors, inputs["item"])}

    def content(self, rows: tf.Tensor) -> tf.Tensor:
        """What the item tower says of rows `[n]` of the catalogue apart from statistics, `[n, dim]`."""
        return self.model.items.distinct([rows])[0]


class ServedRanking(tf.Module):
    """Candidates to one probability a head and the reward that combines them.

    Args:
        model: the trained heads.
        items: the catalogue with its statistics as of the push, in the order of the encoder's.
        reward: weight of each head.
    """

    def __init__(self, model: RankingModel, items: pa.Table, reward: dict[str, float]) -> None:
        super().__init__()
        self.model = model
        self.catalogue = model.encoder.catalogue
        self.reward = {name: float(reward[name]) for name in (*HEADS, LISTEN, CHOICE)}
        self.static = tf.Variable(static_vectors(model), trainable=False)  # [rows, dim]
        free = self.static.shape[0] - 1 - items.num_rows
        # Row 0 and items that come later have no plays; a request knows how old they are.
        padded = {name: np.pad(values, (1, free)) for name, values in item_stats(items).items()}
        self.stats = tf.Variable(model.encoder.encode_stats(padded), trainable=False)  # [rows, 7]
        self.plays = tf.Variable(padded["item_plays_28d"], trainable=False)  # [rows]

    def answer(self, logits: dict[str, tf.Tensor], choice: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predictions by head, `choice` and their weighted sum `reward`, in the logits' shape."""
        out = {**self.model.predictions(logits), CHOICE: choice}
        return {**out, "reward": tf.add_n([weight * out[name] for name, weight in self.reward.items()])}

    def describe(
        self, candidate_ids, retrieval_scores, sequence_scores, **raw
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Logits `[b, n]` a task of candidates, and what the choice head looks at `[b, n, f]`."""
        inputs = self.model.encoder.encode_query(raw)
        rows = self.catalogue.rows(candidate_ids)  # [b, n]
        release = tf.gather(self.catalogue.release_ts, rows)
        days = tf.cast(tf.maximum(raw["request_ts"][:, None] - release, 0), tf.float32) / DAY_SECONDS
        weights = tf.gather(self.catalogue.content, rows)[..., : self.model.encoder.axes.genres]
        affinity = tf.einsum("bng,bg->bn", weights, raw["genre_shares"])
        request = request_dense(affinity, tf.where(release == 0, -1.0, days))
        stats = tf.concat([tf.gather(self.stats, rows)[..., :AGE_COLUMNS], request[..., 1:]], axis=2)
        item = tf.gather(self.static, rows) + self.model.items.dynamic(stats)  # [b, n, dim]
        present = tf.cast(inputs["history"] > 0, tf.float32)
        query = self.model.describe_query(inputs, tf.gather(self.static, inputs["history"]))
        logits = self.model.score(query, present, item, request)
        return logits, self.model.figures(inputs, rows, stats, request, retrieval_scores, sequence_scores, logits)

    def rank(
        self, candidate_ids: tf.Tensor, retrieval_scores: tf.Tensor, sequence_scores: tf.Tensor, **raw: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Score `candidate_ids` `[b, n]` with the items inside the model: each output `[b, n]`.

        `retrieval_scores` and `sequence_scores` `[b, n]` are what those models answered; a candidate that one of them
        did not answer has the least that it did, and all have 0 from a model that was not asked.
        `choice` is the logarithm of how many times likelier than the request's mean candidate each is to play
        next; `uncertainty` is 1 / sqrt(1 + plays of 28 days), in (0, 1].
        """
        logits, figures = self.describe(candidate_ids, retrieval_scores, sequence_scores, **raw)
        chosen = lift(self.model.choice(figures), tf.not_equal(candidate_ids, ""))
        plays = tf.gather(self.plays, self.catalogue.rows(candidate_ids))
        return {**self.answer(logits, chosen), "uncertainty": tf.math.rsqrt(1.0 + plays)}

    def score(self, genre_affinity, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Score one candidate an example from explicit statistics: each output `[b]`; `choice` is 0."""
        inputs = {**self.model.encoder.encode_query(raw), **self.model.encoder.encode_item(raw)}
        inputs["request"] = request_dense(genre_affinity, raw[AGE])
        return self.answer(self.model(inputs), tf.zeros_like(genre_affinity))


def lift(logits: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """The logarithm of each candidate's share times their number, `[b, n]`; the least where there is no candidate."""
    shares = tf.nn.softmax(tf.where(present, logits, -np.inf), axis=1)
    count = tf.reduce_sum(tf.cast(present, tf.float32), axis=1, keepdims=True)
    shares = tf.where(present, shares, 0.0)  # a request without candidates has shares of nan
    return tf.math.log(tf.maximum(shares * count, LIFT_FLOOR))


def static_vectors(model: RetrievalModel | RankingModel, block: int = 8192) -> np.ndarray:
    """`ItemEncoder.static` of every row of the catalogue `[rows, dim]`; row 0 and free rows are zeros."""
    rows = np.arange(model.encoder.catalogue.release_ts.shape[0], dtype=np.int32)
    rows[1 + len(model.encoder.catalogue.known) :] = 0
    embed = tf.function(lambda r: model.items.distinct([r])[0], reduce_retracing=True)
    return np.concatenate([embed(rows[start : start + block]).numpy() for start in range(0, len(rows), block)])


def export_retrieval(model: RetrievalModel, items: pa.Table, filter_seen: bool, lineage: dict, path: Path) -> None:
    """Write the retrieval SavedModel: `serving_default`, `embed_query`, `embed_item`.

    Args:
        model: the trained towers.
        items: the catalogue as of the push.
        filter_seen: answer nothing of the history by default.
        lineage: what it was made from; goes into the model card.
        path: a folder that does not stand yet.
    """
    module = ServedRetrieval(model, items, filter_seen)
    query, item = query_specs(model.encoder.axes), item_specs()
    signatures = {
        "serving_default": tf.function(module.query).get_concrete_function(**query, **Filters.specs()),
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
    query, item = query_specs(model.encoder.axes), item_specs()
    candidates = specs(["candidate_ids"], [None, None], tf.string) | specs(
        ["retrieval_scores", "sequence_scores"], [None, None], tf.float32
    )
    affinity = specs(["genre_affinity"], [None], tf.float32)
    signatures = {
        "serving_default": tf.function(module.rank).get_concrete_function(**query, **candidates),
        "score": tf.function(module.score).get_concrete_function(**query, **item, **affinity),
    }
    save(module, signatures, {**lineage, "reward": module.reward}, path)


def save(module: ServedRetrieval | ServedRanking, signatures: dict, card: dict, path: Path) -> None:
    """Save a module and, beside it, the card that says what its inputs mean and what it came from."""
    tf.get_logger().setLevel("ERROR")  # Keras warns that it cannot rebuild its layers; nobody asks it to
    tf.saved_model.save(module, str(path), signatures=signatures)
    encoder = module.model.encoder
    write_json(
        Path(path) / CARD,
        {**card, "format": FORMAT, "axes": encoder.axes.to_dict(), "markets": encoder.catalogue.markets},
    )


def call(signature, arrays: Arrays) -> Arrays:
    """Call a loaded signature with arrays; strings come as object arrays."""
    outputs = signature(**{name: tf.constant(value) for name, value in arrays.items()})
    return {name: value.numpy() for name, value in outputs.items()}
