"""Axes: the vocabularies and widths that fix the encoding, fitted once a run. Imports no TensorFlow."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from events import schema
from models.inputs.arrow_columns import vector_width
from models.inputs.feature_names import ITEM_STRINGS, USER_STRINGS


@dataclass(frozen=True)
class Axes:
    """The properties of the data that fix the encoding, so that every model of a run encodes alike.

    Attributes:
        tokens: the vocabulary of each string column, from the train span.
        genres: width of genre vectors.
        content_types: width of content type vectors.
    """

    tokens: dict[str, list[str]]
    genres: int
    content_types: int

    def to_dict(self) -> dict:
        """The attributes as JSON types."""
        return asdict(self)


AXES_COLUMNS = [*USER_STRINGS, *ITEM_STRINGS, "surface", "history_items", "genre_weights", "content_type_shares"]


def fit_axes(train: Iterable[pa.Table]) -> Axes:
    """Collect the sorted vocabularies of the train span and the widths of its vectors.

    Args:
        train: the train span of a training set, in chunks that have at least `AXES_COLUMNS`.
    """
    names = (*USER_STRINGS, *ITEM_STRINGS, "surface")
    seen: dict[str, set[str]] = {name: set() for name in names}
    genres, types = 1, 1
    for chunk in train:
        for name in names:
            seen[name].update(pc.unique(chunk[name]).to_pylist())
        seen["item_id"].update(pc.unique(pc.list_flatten(chunk["history_items"])).to_pylist())
        genres = max(genres, vector_width(chunk["genre_weights"]))
        types = max(types, vector_width(chunk["content_type_shares"]))
    tokens = {name: sorted(v for v in values if v) for name, values in seen.items()}
    tokens["action"] = list(schema.INTERACTIONS)
    return Axes(tokens, genres, types)
