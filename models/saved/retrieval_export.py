"""The retrieval SavedModel: a query to the ids and scores of its best items."""

from pathlib import Path

import pyarrow as pa
import tensorflow as tf

from models.graph_function import graph_function
from models.inputs.catalogue import LATER
from models.inputs.signature_specs import item_specs, query_specs
from models.retrieval.model import RetrievalModel, embed_in_blocks
from models.saved.filters import Filters, candidate_count
from models.saved.index import Index
from models.saved.saved_model import save, static_vectors


class ServedRetrieval(tf.Module):
    """Finds the items that fit a query best, most relevant first.

    Args:
        model: the trained towers.
        items: the catalogue with statistics as of the push, in the order of the encoder's catalogue.
        filter_seen: whether items of the history are left out by default (films are, songs are not).
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
            catalogue.type_codes(items),
            catalogue.market_bits(items),
            LATER,
        )
        self.static = tf.Variable(static_vectors(model), trainable=False)  # [rows, dim]

    def query(
        self, k, content_types, released_after, market, exclude_ids, heard, **raw: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Search exactly for the best items that the filters allow.

        Args:
            k: the number of items wanted, int32 `[b]`; 0 stands for 200, and more than 1000 are never returned.
            content_types, released_after, market, exclude_ids, heard: see `Filters.__call__`.
            raw: the query; see `query_specs`.

        Returns:
            `item_ids` and `scores` `[b, max(k)]`; '' and the lowest float fill a row that has fewer candidates.
        """
        allowed = self.filters(raw, content_types, released_after, market, exclude_ids, heard)
        rows, scores = self.index.search(self.embed_query(**raw)["embedding"], candidate_count(k), **allowed)
        return self.index.answer(rows, scores)

    def embed_query(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Embed queries: `embedding` `[b, dim + 1]`."""
        inputs = self.model.encoder.encode_query(raw)
        return {"embedding": self.model.embed_query(inputs, tf.gather(self.static, inputs["history"]))}

    def embed_item(self, **raw: tf.Tensor) -> dict[str, tf.Tensor]:
        """Embed items of the catalogue with the statistics that are given: `embedding` `[n, dim + 1]`."""
        inputs = self.model.encoder.encode_item(raw)
        vectors = self.model.embed_item(self.content(inputs["item"]), inputs["item_stats"])
        return {"embedding": self.model.boosted(vectors, inputs["item"])}

    def content(self, rows: tf.Tensor) -> tf.Tensor:
        """Embed the ids and content of rows `[n]` of the catalogue, without statistics: `[n, dim]`."""
        return self.model.items.distinct([rows])[0]


def export_retrieval(model: RetrievalModel, items: pa.Table, filter_seen: bool, lineage: dict, path: Path) -> None:
    """Write the retrieval SavedModel with the signatures `serving_default`, `embed_query` and `embed_item`.

    Args:
        model: the trained towers.
        items: the catalogue as of the push.
        filter_seen: exclude the items of the history by default.
        lineage: the run and data that the model comes from; it goes into the card.
        path: a folder that does not exist yet.
    """
    module = ServedRetrieval(model, items, filter_seen)
    query, item = query_specs(model.encoder.axes), item_specs()
    signatures = {
        "serving_default": graph_function(module.query).get_concrete_function(**query, **Filters.specs()),
        "embed_query": graph_function(module.embed_query).get_concrete_function(**query),
        "embed_item": graph_function(module.embed_item).get_concrete_function(**item),
    }
    save(module, signatures, {**lineage, "filter_seen": filter_seen}, path)
