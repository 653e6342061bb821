"""Translate ratings of one to five stars into actions and labels."""

import pyarrow as pa
import pyarrow.compute as pc

from events import schema

LIKED, DISLIKED = 4.0, 2.0  # a rating of at least LIKED is a like, of at most DISLIKED a skip
RATING = pa.field("rating", pa.float64())

MAPPING = (
    "rating >= 4 -> like (label_like 1, label_skip 0)",
    "rating <= 2 -> skip (label_like 0, label_skip 1)",
    "any other rating -> play (label_like 0, label_skip 0)",
)


def actions_and_labels(rating: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """Return the columns `action`, `rating` and all labels. Only `label_like` and `label_skip` are known."""
    like, skip = pc.greater_equal(rating, LIKED), pc.less_equal(rating, DISLIKED)
    unknown = pa.nulls(len(rating), pa.float32())
    return {
        "action": pc.if_else(like, schema.LIKE, pc.if_else(skip, schema.SKIP, schema.PLAY)),
        "rating": rating,
        **dict.fromkeys(schema.LABEL_COLUMNS, unknown),
        "label_skip": skip.cast(pa.float32()),
        "label_like": like.cast(pa.float32()),
    }
